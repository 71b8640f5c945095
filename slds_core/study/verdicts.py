"""One verdict an estimator, from its status, its error against a witness, and its certificate."""

import math
from dataclasses import dataclass
from typing import NamedTuple

# A relative error that counts as none: well above rounding, well below what an optimiser would feel.
EXACT = {"float64": 1e-8, "float32": 1e-3}
RESOLVED = {"float64": 1e-3, "float32": 3e-2}
"""Relative error of a witness up to which "as far as it can tell" still tells something."""
DISPUTED = 0.1
"""Relative difference of two references from which at least one of them is wrong."""

_KINDS = {
    "approximate": "an approximation by design",
    "fell_back": "a one-step gradient",
    "not_a_fixed_point": "not at a fixed point",
    "still_changing": "still changing with its sweeps",
}
_CLAIMS = {"solved", "witness"}  # to be the fixed point's gradient, and not that of some sweeps

FAILED = {"nonfinite", "not_positive", "product_limit", "stagnated"}


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on."""

    status: str
    error: float  # relative, all parameters together, against the witness
    certificate: float  # relative; NaN where there is none
    resolution: float  # relative error of the witness itself
    precision: str

    @property
    def within_certificate(self) -> int:
        """1 if the error is within the certificate, 0 if not, -1 where there is none, or an infinite one, which says nothing."""
        if not math.isfinite(self.certificate):
            return -1
        return int(self.error <= self.certificate + self.resolution)


class Verdict(NamedTuple):
    """A word and a reason."""

    name: str
    reason: str


def verdict(evidence: Evidence) -> Verdict:
    """Returns ``exact``, ``within certificate``, ``approximate``, ``unconverged``, ``unresolved``, ``wrong`` or ``failed``.

    ``exact`` means: equal to the witness to ``EXACT``, or as far as that can tell; ``unresolved``, that it cannot tell much.
    ``approximate`` is by design; ``unconverged`` is right for the point it was computed at, which is not the fixed point; ``wrong`` claims
    success and is not.
    """
    error = f"relative error {evidence.error:.1e}"
    if evidence.status in FAILED or not math.isfinite(evidence.error):
        return Verdict("failed", f"{evidence.status.replace('_', ' ')}; {error}")
    if evidence.status == "fell_back":
        return Verdict("approximate", f"fell back to one step; {error}")
    resolved = evidence.resolution <= RESOLVED[evidence.precision]
    if evidence.error <= EXACT[evidence.precision]:
        return Verdict("exact", f"{error}; up to {EXACT[evidence.precision]:.0e} counts as none")
    if resolved and evidence.error <= evidence.resolution:
        return Verdict("exact", f"{error}, within the witness's own of up to {evidence.resolution:.1e}")
    if evidence.status == "approximate":
        return Verdict("approximate", f"by design; {error}")
    if evidence.status in ("exact_derivative", "still_changing"):
        return Verdict("unconverged", f"its sweeps have not converged; {error}")
    if evidence.status == "not_a_fixed_point":
        return Verdict("unconverged", f"the forward pass has not converged; {error}")
    if not resolved:
        return Verdict("unresolved", f"{error}, but the witness itself is off by up to {evidence.resolution:.1e}")
    if evidence.within_certificate == 1:
        return Verdict("within certificate", f"{error}, certified {evidence.certificate:.1e}")
    return Verdict("wrong", f"claims success; {error}, certified {evidence.certificate:.1e}")


def unfit(status: str) -> str:
    """Returns why a gradient that ended so cannot judge others, as the end of "which …"; nothing if it can."""
    if status in FAILED:
        return {"nonfinite": "is not finite"}.get(status, f"ended as {status.replace('_', ' ')}")
    return f"is {_KINDS[status]}" if status in _KINDS else ""


def disputes(status: str, other: str, difference: float) -> bool:
    """Returns whether two references cannot both be right: each claims to be the fixed point's gradient, and they differ."""
    return status in _CLAIMS and other in _CLAIMS and not difference <= DISPUTED


def not_judged(witness: str, error: float) -> Verdict:
    """Returns the verdict of a gradient beside a witness that can judge none."""
    return Verdict("not judged", f"differs by {error:.1e} from '{witness}', which cannot judge it")


def witness_verdict(status: str, agreement: dict[str, float], disputed_by: dict[str, float] | None = None) -> Verdict:
    """Returns the verdict of the reference that the others are judged by: no number of its own, but whether a second one agrees.

    Only ``witness`` can judge others. It is ``disputed`` where another reference differs of which it cannot be told that it is wrong.

    Args:
        status: how the reference ended.
        agreement: relative difference from each other reference, by name.
        disputed_by: the same, of those that ``disputes`` it.
    """
    if status in FAILED:
        return Verdict("failed", f"{status.replace('_', ' ')}: it cannot judge the others, choose another reference")
    if unfit(status):
        return Verdict("approximate", f"it {unfit(status)}, and cannot judge the others: choose another reference")
    if disputed_by:
        name, difference = max(disputed_by.items(), key=lambda item: item[1])
        return Verdict("disputed", f"'{name}' differs by {difference:.1e}, and claims to be right as well")
    if not agreement:
        return Verdict("witness", "the others are judged by it; no second reference checks it")
    name, difference = min(agreement.items(), key=lambda item: item[1])
    return Verdict("witness", f"the others are judged by it; '{name}' differs by {difference:.1e}")
