"""Learning a structured variational autoencoder with a switching linear dynamical system inside.

A step encodes data into recognition potentials, infers the fixed point, and differentiates the bound through it by any gradient
estimator. Encoder and decoder follow Adam, the conjugate global factors their natural gradients.
"""

from slds_core.learning.batch import Batch as Batch
from slds_core.learning.batch import batches as batches
from slds_core.learning.batch import full_batch as full_batch
from slds_core.learning.decoder import LinearDecoder as LinearDecoder
from slds_core.learning.encoder import ExactEncoder as ExactEncoder
from slds_core.learning.encoder import LinearEncoder as LinearEncoder
from slds_core.learning.encoder import MLPEncoder as MLPEncoder
from slds_core.learning.factors import GlobalFactors as GlobalFactors
from slds_core.learning.factors import prior_factors as prior_factors
from slds_core.learning.network_decoder import MLPDecoder as MLPDecoder
from slds_core.learning.objective import training_objective as training_objective
from slds_core.learning.training import SVAE as SVAE
from slds_core.learning.training import Learner as Learner
from slds_core.learning.training import Outcome as Outcome
from slds_core.learning.warm_start import warm_start as warm_start
