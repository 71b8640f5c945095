"""Fixed points of structured inference: the interface, forward solvers, residuals, the sweep's spectrum."""

from slds_core.fixed_point.anderson import anderson as anderson
from slds_core.fixed_point.coordinate_ascent import coordinate_ascent as coordinate_ascent
from slds_core.fixed_point.coupled import Coupled as Coupled
from slds_core.fixed_point.interface import Block as Block
from slds_core.fixed_point.interface import Field as Field
from slds_core.fixed_point.interface import FixedPoint as FixedPoint
from slds_core.fixed_point.interface import MeanField as MeanField
from slds_core.fixed_point.interface import Sequences as Sequences
from slds_core.fixed_point.lanczos import Spectrum as Spectrum
from slds_core.fixed_point.newton_cg import newton_cg as newton_cg
from slds_core.fixed_point.progress import Inference as Inference
from slds_core.fixed_point.progress import Trace as Trace
from slds_core.fixed_point.residual import Residual as Residual
from slds_core.fixed_point.residual import fixed_point_residual as fixed_point_residual
from slds_core.fixed_point.spectrum import predicted_sweeps as predicted_sweeps
from slds_core.fixed_point.spectrum import sweep_spectrum as sweep_spectrum
from slds_core.fixed_point.status import InferenceStatus as InferenceStatus
from slds_core.fixed_point.status import name_of as name_of
from slds_core.fixed_point.status import names_of as names_of
