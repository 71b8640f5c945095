"""Contract checks for plugins: one call each, in the author's own tests. A broken contract is an ``AssertionError`` that says which.

They need no test framework. docs/plugins.md says what each of them asks for.
"""

from slds_core.testing.boltzmann import BoltzmannMachine as BoltzmannMachine
from slds_core.testing.boltzmann import boltzmann as boltzmann
from slds_core.testing.cases import Case as Case
from slds_core.testing.cases import contraction as contraction
from slds_core.testing.cases import tiny_slds as tiny_slds
from slds_core.testing.data import check_data as check_data
from slds_core.testing.gradient import check_gradient as check_gradient
from slds_core.testing.inference import check_inference as check_inference
from slds_core.testing.model import check_model as check_model
from slds_core.testing.objective import check_objective as check_objective
from slds_core.testing.outcome import Outcome as Outcome
