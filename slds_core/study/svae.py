"""A structured VAE as a model plugin that learns: what it has learnt after some epochs goes through the audit.

It stands here, and not in ``plugins/``, because it names other plugins, reads the clock, and keeps files to go on from.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from slds_core.plugins import BuiltModel, LearntModel
from slds_core.study import registry
from slds_core.study.errors import StudyError
from slds_core.study.guard import failures_of

Nested = str | dict[str, Any]


class SVAE(LearntModel):
    """A structured VAE with an SLDS inside, learnt from data for a number of epochs: a list of them makes an audit along training.

    Training starts from principal components and a clustering, and is the same up to any epoch whatever the last one is.
    """

    nested: ClassVar = {"data": "data", "inference": "inference", "gradient": "gradients"}

    data: Nested = Field(description="source of data: a plugin's name, or a plugin and its parameters")
    latent: int = Field(2, ge=1, description="latent dimension")
    states: int = Field(3, ge=1, description="discrete states")
    epochs: int = Field(100, ge=0, le=1_000_000, description="passes over the data; 0 is the warm start")
    encoder: Literal["exact", "linear", "mlp"] = Field(
        "linear",
        description="'exact': the likelihood's own potentials; 'linear': learnt, starts there; 'mlp': a network, starts near there",
    )
    decoder: Literal["linear", "mlp"] = Field(
        "linear",
        description="'linear': Gaussian, in closed form; 'mlp': plus a network, which starts at zero and learns from samples of the path; "
        "needs the encoder 'linear' or 'mlp'",
    )
    width: int = Field(32, ge=1, description="units of the one hidden layer of each network")
    inference: Nested = Field(
        {"plugin": "newton_cg", "tolerance": 1e-8},
        description="inference setting of each step: a name, or plugin and parameters",
    )
    gradient: Nested = Field(
        {"plugin": "fisher_cg", "tolerance": 1e-6},
        description="estimator of each step: a name, or plugin and parameters",
    )
    learning_rate: float = Field(0.01, gt=0, description="Adam's, of encoder and decoder")
    natural_rate: float = Field(0.3, gt=0, le=1, description="size of the global factors' natural-gradient steps")
    batch: int | None = Field(None, ge=1, description="sequences in a batch; all if left out")
    prior_noise: float = Field(
        0.1, ge=1e-12, le=1e12, description="variance of the transitions' noise that the prior expects"
    )
    stickiness: float = Field(10.0, ge=0, description="what the prior adds to the concentration of staying in a state")
    held_out: float = Field(
        0.0, ge=0, lt=1, description="share of the observed entries that is held out to measure imputation"
    )
    held_out_seed: int = Field(0, ge=0, description="seed of that choice")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of clustering, network, batches and samples")
    held_out_sequences: int = Field(
        0,
        ge=0,
        description="sequences, the data's last, that are not learnt from: the bound on them is measured; 'held_out', 'masked' and "
        "'horizon' then apply to them, else to all sequences",
    )
    masked: list[int] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="steps that are held out to measure imputation: the first, and the one after the last",
    )
    horizon: int = Field(
        0,
        ge=0,
        description="last steps of each sequence that are held out and forecast",
        json_schema_extra={"unit": "step"},
    )
    baselines: list[Literal["lds", "hmm"]] = Field(
        [],
        description="what to fit to the same data and measure beside it: 'lds', the same with one state, trained for as many epochs; "
        "'hmm', a hidden Markov model with Gaussian emissions and as many states",
    )
    start: Literal["last", "uniform"] = Field(
        "last",
        description="where a step's inference starts: 'last', where it ended an epoch before; 'uniform', as if the sequence were new",
    )
    judge: int = Field(
        0,
        ge=0,
        description="epochs between judgements of the step's gradient and bound by converged ones at the same parameters; 0: none",
    )

    def model_post_init(self, context: Any) -> None:
        """Checks the plugins within and what needs no data: what is wrong with them is told before anything runs.

        Raises:
            StudyError: a plugin is unknown, its parameters cannot be used, or parameters do not go together.
        """
        if self.masked is not None and not 0 <= self.masked[0] < self.masked[1]:
            raise StudyError(
                f"masked: expected a first step from 0 on and, after it, the one after the last, found {self.masked}"
            )
        for key, kind in self.nested.items():
            try:
                _make(kind, getattr(self, key))
            except StudyError as error:
                raise StudyError(f"{key}: {error}") from error
        if _make("gradients", self.gradient).yields != "gradient":
            raise StudyError(
                f"gradient: expected an estimator of the whole gradient, found '{_setting(self.gradient)[0]}', "
                "which yields derivatives along a few directions"
            )
        if self.decoder == "mlp" and self.encoder == "exact":
            raise StudyError(
                "encoder: expected 'linear' or 'mlp' with decoder 'mlp', whose likelihood is no Gaussian in z; found 'exact'"
            )

    def problem(self):
        from slds_core.models.slds import slds_problem

        lengths = self._split().training.lengths
        return slds_problem(lengths if len(lengths) > 1 else None)

    def rebuild(self, dataset):
        from slds_core.models.slds import slds_problem

        return slds_problem(dataset["length"].values if "length" in dataset else None)

    def input_files(self) -> list[Path]:
        files = list(_make("data", self.data).input_files())
        references = [_setting(getattr(self, key))[0].rpartition(":") for key in self.nested]
        return [*files, *(Path(place) for place, separator, _ in references if separator and Path(place).is_file())]

    def fit(self, keep: Path | None = None) -> BuiltModel:
        import jax

        from slds_core.learning.run import NonFinite

        with jax.enable_x64(True):
            try:
                return self._fit(keep)
            except NonFinite as error:
                raise StudyError(f"training stopped: {error}. Try a smaller learning_rate or natural_rate") from error

    def _fit(self, keep: Path | None) -> BuiltModel:
        import equinox as eqx
        import jax.numpy as jnp

        from slds_core.study.evaluation import evaluation
        from slds_core.study.final_bound import final_bound
        from slds_core.study.training_loop import QUANTITIES

        split = self._split()
        run, progress, records = self.learn(split.training, keep)
        whole = run.whole()
        history = {
            f"training_{name}": ("epoch", records[:, column], words, unit)
            for column, (name, (unit, words)) in enumerate(QUANTITIES.items())
        }
        parameters = eqx.filter_jit(lambda model: model.parameters(whole))(progress.model)
        extra = history | final_bound(run, progress) | evaluation(self, split, run, progress, keep)
        return BuiltModel(whole.problem, parameters, jnp.asarray(run.marginals(progress)), extra)

    def learn(self, series: Any, keep: Path | None = None, baseline: str = "") -> tuple[Any, Any, Any]:
        """Returns a run on the series, its progress after the last epoch, and the records of all; JAX must be in double precision.

        Args:
            series: what to learn from.
            keep: folder for files to go on from.
            baseline: what it is trained as, where it is no model of the study: lines of progress say so.

        Raises:
            NonFinite: names the first quantity that is not finite.
        """
        from slds_core.study.training_files import TrainingFiles
        from slds_core.study.training_loop import train

        run, progress = self._begin(series)
        files = None if keep is None else TrainingFiles(keep, self._key())
        return run, *train(run, progress, self.epochs, files, self.judge, baseline)

    def _split(self) -> Any:
        """Returns what is learnt from, and what is held out.

        Raises:
            StudyError: there are not so many sequences or steps to hold out.
        """
        from slds_core.evaluation.split import split

        reference, source = _setting(self.data)[0], _make("data", self.data)
        try:
            return split(
                _returned(reference, source, "load", _require_series),
                sequences=self.held_out_sequences,
                horizon=self.horizon,
                masked=None if self.masked is None else (self.masked[0], self.masked[1]),
                share=self.held_out,
                seed=self.held_out_seed,
            )
        except ValueError as error:
            raise StudyError(str(error)) from error

    def _begin(self, series: Any) -> Any:
        """Returns the run and the progress before its first epoch."""
        import jax
        import optax

        from slds_core.learning import SVAE as Model
        from slds_core.learning import Learner, full_batch, prior_factors, warm_start
        from slds_core.learning.begin import networks
        from slds_core.learning.run import Run
        from slds_core.study.returned import require_gradient, require_inference

        inference, gradient = _make("inference", self.inference), _make("gradients", self.gradient)
        prior = prior_factors(self.latent, self.states, noise=self.prior_noise, stickiness=self.stickiness)
        batch = full_batch(series)
        start = warm_start(batch, prior, seed=self.seed)
        key = jax.random.key(self.seed)
        encoder, decoder = networks(self.encoder, self.decoder, start.decoder, batch, self.width, key)
        at_fixed_point = type(gradient).start == "fixed_point"
        optimizer = optax.adam(self.learning_rate)
        infer = partial(_returned, _setting(self.inference)[0], inference, "infer", require_inference)
        estimate = partial(_returned, _setting(self.gradient)[0], gradient, "estimate", require_gradient)
        learner = Learner(infer, estimate, at_fixed_point, prior, optimizer, self.natural_rate)
        run = Run(learner, series, batch_size=self.batch, seed=self.seed, cold=self.start == "uniform")
        return run, run.begin(Model(encoder, decoder, start.factors), start.marginals)

    def _key(self) -> str:
        """Returns what tells this training from others: all that it depends on, but not how long it goes on."""
        from slds_core.study.provenance import file_hash, settings_hash

        own = self.model_dump(mode="json", exclude={"epochs", "baselines"})
        files = {str(path): file_hash(path) for path in self.input_files()}
        identities = [registry.identity(kind, _setting(getattr(self, key))[0]) for key, kind in self.nested.items()]
        return settings_hash([own, files, identities, registry.identity("models", "svae")])


def _setting(setting: Nested) -> tuple[str, dict[str, Any]]:
    """Returns reference and parameters of a plugin within a plugin's parameters.

    Raises:
        StudyError: it names no plugin.
    """
    if isinstance(setting, str):
        return setting, {}
    if not isinstance(setting.get("plugin"), str):
        raise StudyError(f"expected a plugin's name, or the key 'plugin' and its parameters, found {setting!r}")
    return setting["plugin"], {key: value for key, value in setting.items() if key != "plugin"}


def _returned(reference: str, plugin: Any, method: str, require: Callable[..., Any], *arguments: Any) -> Any:
    """Returns what a plugin's method returns, which has to fit; what it raises is told as its own failure, and not as training's.

    Raises:
        StudyError: it failed, or returned another thing than training needs.
    """
    with failures_of(reference, type(plugin)):
        return require(getattr(plugin, method)(*arguments), *arguments)


def _require_series(found: Any) -> Any:
    from slds_core.data import Series

    if not isinstance(found, Series):
        raise TypeError(f"training needs a Series, found {type(found).__name__}")
    return found


def _make(kind: str, setting: Nested) -> Any:
    return registry.make(kind, *_setting(setting))
