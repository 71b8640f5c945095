"""Exact inference in hidden Markov models."""

from slds_core.chains.hmm.chain import HMMPosterior as HMMPosterior
from slds_core.chains.hmm.chain import inner as inner
from slds_core.chains.hmm.chain import smooth as smooth
from slds_core.chains.hmm.sampling import sample as sample
from slds_core.chains.hmm.sequences import smooth_sequences as smooth_sequences
from slds_core.chains.hmm.types import HMMPotentials as HMMPotentials
from slds_core.chains.hmm.types import HMMStatistics as HMMStatistics
