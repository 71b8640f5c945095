"""One verdict an estimator, from its status, its error against a witness, and its certificate."""

import math
from dataclasses import dataclass
from typing import NamedTuple

# A relative error that counts as none: well above rounding, well below what an optimiser would feel.
EXACT = {"float64": 1e-8, "float32": 1e-3}

_KINDS = {
    "approximate": "an approximation by design",
    "fell_back": "a one-step gradient",
    "not_a_fixed_point": "not at a fixed point",
    "still_changing": "still changing with its sweeps",
}
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
        """1 if the error is within the certificate, 0 if not, -1 where there is none."""
        if math.isnan(self.certificate):
            return -1
        return int(self.error <= self.certificate + self.resolution)


class Verdict(NamedTuple):
    """A word and a reason."""

    name: str
    reason: str


def verdict(evidence: Evidence) -> Verdict:
    """Returns ``exact``, ``within certificate``, ``approximate``, ``unconverged``, ``wrong`` or ``failed``, with the reason.

    ``exact`` means: equal to the witness as far as that can tell. ``approximate`` is by design; ``unconverged`` is right for the
    point it was computed at, which is not the fixed point; ``wrong`` claims success and is not.
    """
    error = f"relative error {evidence.error:.1e}"
    if evidence.status in FAILED or not math.isfinite(evidence.error):
        return Verdict("failed", f"{evidence.status.replace('_', ' ')}; {error}")
    if evidence.status == "fell_back":
        return Verdict("approximate", f"fell back to one step; {error}")
    if evidence.error <= max(EXACT[evidence.precision], evidence.resolution):
        return Verdict("exact", f"{error}, to the witness's precision")
    if evidence.status == "approximate":
        return Verdict("approximate", f"by design; {error}")
    if evidence.status in ("exact_derivative", "still_changing"):
        return Verdict("unconverged", f"its sweeps have not converged; {error}")
    if evidence.status == "not_a_fixed_point":
        return Verdict("unconverged", f"the forward pass has not converged; {error}")
    if evidence.within_certificate == 1:
        return Verdict("within certificate", f"{error}, certified {evidence.certificate:.1e}")
    return Verdict("wrong", f"claims success; {error}, certified {evidence.certificate:.1e}")


def witness_verdict(status: str, agreement: dict[str, float]) -> Verdict:
    """Returns the verdict of the reference that the others are judged by: no number of its own, but whether a second one agrees.

    Args:
        status: how the reference ended.
        agreement: relative difference from each other reference, by name.
    """
    if status in FAILED:
        return Verdict("failed", f"{status.replace('_', ' ')}; yet the others are judged by it")
    if status in ("approximate", "fell_back", "not_a_fixed_point", "still_changing"):
        return Verdict(
            "approximate", f"the others are judged by it, though it is {_KINDS[status]}: choose another reference"
        )
    if not agreement:
        return Verdict("witness", "the others are judged by it; no second reference checks it")
    name, difference = min(agreement.items(), key=lambda item: item[1])
    return Verdict("witness", f"the others are judged by it; '{name}' differs by {difference:.1e}")
