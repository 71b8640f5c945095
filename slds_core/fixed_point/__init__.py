"""Fixed points of structured inference: the interface, forward solvers, residuals."""

from slds_core.fixed_point.coordinate_ascent import Inference as Inference
from slds_core.fixed_point.coordinate_ascent import Trace as Trace
from slds_core.fixed_point.coordinate_ascent import coordinate_ascent as coordinate_ascent
from slds_core.fixed_point.interface import Field as Field
from slds_core.fixed_point.interface import FixedPoint as FixedPoint
from slds_core.fixed_point.interface import MeanField as MeanField
from slds_core.fixed_point.residual import Residual as Residual
from slds_core.fixed_point.residual import fixed_point_residual as fixed_point_residual
from slds_core.fixed_point.status import InferenceStatus as InferenceStatus
