"""Exact inference in Gaussian Markov chains."""

from slds_core.chains.gaussian.chain import GaussianPosterior as GaussianPosterior
from slds_core.chains.gaussian.chain import homogeneous as homogeneous
from slds_core.chains.gaussian.chain import inner as inner
from slds_core.chains.gaussian.chain import smooth as smooth
from slds_core.chains.gaussian.sampling import sample as sample
from slds_core.chains.gaussian.sequences import smooth_sequences as smooth_sequences
from slds_core.chains.gaussian.types import GaussianPotentials as GaussianPotentials
from slds_core.chains.gaussian.types import GaussianStatistics as GaussianStatistics
