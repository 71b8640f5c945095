"""Gradient estimators: ways to differentiate an objective through a fixed point. None knows what the model is."""

from slds_core.gradients.by_sequence import by_sequence as by_sequence
from slds_core.gradients.certificate import Certificate as Certificate
from slds_core.gradients.certificate import certify as certify
from slds_core.gradients.differentiable import implicit_state as implicit_state
from slds_core.gradients.direct import direct as direct
from slds_core.gradients.finite_difference import DirectionalDerivatives as DirectionalDerivatives
from slds_core.gradients.finite_difference import finite_difference as finite_difference
from slds_core.gradients.implicit import Solution as Solution
from slds_core.gradients.implicit import implicit_gradient as implicit_gradient
from slds_core.gradients.implicit import solution as solution
from slds_core.gradients.krylov import bicgstab as bicgstab
from slds_core.gradients.krylov import fisher_cg as fisher_cg
from slds_core.gradients.krylov import gmres as gmres
from slds_core.gradients.linearisation import AdjointSystem as AdjointSystem
from slds_core.gradients.original import original_bicgstab as original_bicgstab
from slds_core.gradients.original import original_itersolve as original_itersolve
from slds_core.gradients.result import AdjointInfo as AdjointInfo
from slds_core.gradients.result import Gradient as Gradient
from slds_core.gradients.result import GradientStatus as GradientStatus
from slds_core.gradients.result import Objective as Objective
from slds_core.gradients.series import one_step as one_step
from slds_core.gradients.series import richardson as richardson
from slds_core.gradients.series import truncated as truncated
from slds_core.gradients.unrolled import unrolled as unrolled
from slds_core.gradients.unrolled import unrolled_converged as unrolled_converged
