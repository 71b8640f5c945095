"""Gradient estimators: ways to differentiate an objective through a fixed point. None knows what the model is."""

from slds_core.gradients.bicgstab import bicgstab as bicgstab
from slds_core.gradients.result import AdjointInfo as AdjointInfo
from slds_core.gradients.result import Gradient as Gradient
from slds_core.gradients.result import GradientStatus as GradientStatus
from slds_core.gradients.result import Objective as Objective
from slds_core.gradients.unrolled import unrolled as unrolled
