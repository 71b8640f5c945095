"""The columns of the tables that several sections show."""

from slds_core.report.formats import NOTHING, duration, plain, scientific, short
from slds_core.report.rows import ConvergenceRow, GradientRow
from slds_core.report.tables import Column, text

_SETTING = text("setting", "name in the configuration", lambda row: row.setting)


def _tone(row: ConvergenceRow | GradientRow) -> str:
    return row.tone


def _full(value: float | None) -> str:
    return plain(value, 13)


def _whole(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0f}"


def _rate(value: object) -> str:
    return plain(value, 4)


CONVERGENCE: list[Column] = [
    _SETTING,
    text("verdict", "how inference ended", lambda row: row.verdict, tone=_tone),
    Column("sweeps and products", "sweeps, and products with the sweep's Jacobian, together", lambda row: row.sweeps),
    Column(
        "residual, mean",
        "mean absolute change of the state in one more sweep",
        lambda row: row.residual_mean,
        scientific,
    ),
    Column(
        "residual, largest",
        "largest absolute change of the state in one more sweep",
        lambda row: row.residual_max,
        scientific,
    ),
    Column(
        "rate λ",
        "leading eigenvalue of the sweep's Jacobian, by Lanczos at the state reached",
        lambda row: row.rate,
        _rate,
    ),
    Column(
        "rate measured",
        "mean factor by which the residual fell in the last sweeps",
        lambda row: row.measured_rate,
        _rate,
    ),
    Column(
        "predicted",
        "sweeps to a residual of 10⁻⁸ that λ predicts from the tenth sweep on",
        lambda row: row.predicted_sweeps,
        _whole,
    ),
    Column("taken", "sweeps to a residual of 10⁻⁸ that were taken", lambda row: row.taken_sweeps),
    Column("ELBO", "evidence lower bound at the end", lambda row: row.elbo, _full, units="nat"),
    Column("run", "run time", lambda row: row.run_seconds, duration),
]

GRADIENTS: list[Column] = [
    text("estimator", "name in the configuration", lambda row: row.setting),
    text("verdict", "what the estimator is worth here, judged by the witness", lambda row: row.verdict, tone=_tone),
    Column(
        "error", "relative Euclidean distance from the witness, over all parameters", lambda row: row.error, scientific
    ),
    Column("certified", "bound on the same that needs no witness", lambda row: row.certificate, scientific),
    Column("products", "products with the sweep's Jacobian, or evaluations, checks included", lambda row: row.products),
    Column(
        "predicted",
        "products that theory predicts from λ by a bound on the error in the Fisher norm, checks apart; solvers stop on another norm",
        lambda row: row.predicted_products,
        _whole,
    ),
    Column("run", "median run time, compilation apart", lambda row: row.run_seconds, duration),
    Column("memory", "temporary memory of the compiled program", lambda row: row.mebibytes, short, units="MiB"),
    text("why", "what the verdict rests on", lambda row: row.reason, quiet=True),
]

COST: list[Column] = [
    Column("compile", "time to compile", lambda row: row.compile_seconds, duration),
    text("cached", "whether the compiled program came from the cache, which makes compilation look cheap",
         lambda row: row.cached, show=lambda value: "yes" if value else "no"),
    Column("adjoint residual", "true relative residual of the adjoint system", lambda row: row.residual, scientific),
]  # fmt: skip

SEQUENCES: list[Column] = [
    text("setting", "name in the configuration", lambda row: row.setting),
    Column("sequence", "its number", lambda row: row.sequence),
    Column("length", "time steps", lambda row: row.length),
    Column(
        "sweeps and products",
        "until the largest change in this sequence fell below the tolerance",
        lambda row: row.sweeps,
    ),
    Column(
        "residual, mean",
        "mean absolute change of its state in one more sweep",
        lambda row: row.residual_mean,
        scientific,
    ),
    Column(
        "residual, largest",
        "largest absolute change of its state in one more sweep",
        lambda row: row.residual_max,
        scientific,
    ),
    Column("ELBO", "evidence lower bound of this sequence alone", lambda row: row.elbo, _full, units="nat"),
]
