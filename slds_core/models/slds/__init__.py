"""Switching linear dynamical systems."""

from slds_core.models.slds.model import SLDS as SLDS
from slds_core.models.slds.model import SLDSPosterior as SLDSPosterior
from slds_core.models.slds.model import SLDSStatistics as SLDSStatistics
from slds_core.models.slds.potentials import DiscretePotentials as DiscretePotentials
from slds_core.models.slds.potentials import DynamicsPotentials as DynamicsPotentials
from slds_core.models.slds.potentials import InitialPotentials as InitialPotentials
from slds_core.models.slds.potentials import RecognitionPotentials as RecognitionPotentials
from slds_core.models.slds.potentials import SLDSPotentials as SLDSPotentials
from slds_core.models.slds.potentials import expected_potentials as expected_potentials
from slds_core.models.slds.rounds import infer_in_rounds as infer_in_rounds
from slds_core.models.slds.sequences import SLDSSequences as SLDSSequences
from slds_core.models.slds.sequences import slds_problem as slds_problem
from slds_core.models.slds.validation import InvalidModel as InvalidModel
from slds_core.models.slds.validation import checked as checked
