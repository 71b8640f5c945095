"""A structured VAE as a model plugin that learns: what it has learnt after some epochs goes through the audit.

It stands here, and not in ``plugins/``, because it names other plugins, reads the clock, and keeps files to go on from.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from slds_core.plugins import BuiltModel, LearntModel
from slds_core.study import registry
from slds_core.study.errors import StudyError

Box = str | dict[str, Any]


class SVAE(LearntModel):
    """A structured VAE with an SLDS inside, learnt from data for a number of epochs: a list of them makes an audit along training.

    Training starts from principal components and a clustering, and is the same up to any epoch whatever the last one is.
    """

    boxes: ClassVar[dict[str, str]] = {"data": "data", "inference": "inference", "gradient": "gradients"}

    data: Box = Field(description="source of data: a plugin's name, or a plugin and its parameters")
    latent: int = Field(2, ge=1, description="latent dimension")
    states: int = Field(3, ge=1, description="discrete states")
    epochs: int = Field(100, ge=0, le=1_000_000, description="passes over the data; 0 is the warm start")
    encoder: Literal["exact", "linear", "mlp"] = Field(
        "linear",
        description="'exact': the likelihood's own potentials; 'linear': learnt, starts there; 'mlp': a network, starts near there",
    )
    width: int = Field(32, ge=1, description="units of the network's one hidden layer")
    inference: Box = Field(
        {"plugin": "newton_cg", "tolerance": 1e-8},
        description="inference setting of each step: a name, or plugin and parameters",
    )
    gradient: Box = Field(
        {"plugin": "fisher_cg", "tolerance": 1e-6},
        description="estimator of each step: a name, or plugin and parameters",
    )
    learning_rate: float = Field(0.01, gt=0, description="Adam's, of encoder and decoder")
    natural_rate: float = Field(0.3, gt=0, le=1, description="size of the global factors' natural-gradient steps")
    batch: int | None = Field(None, ge=1, description="sequences in a batch; all if left out")
    prior_noise: float = Field(0.1, gt=0, description="variance of the transitions' noise that the prior expects")
    stickiness: float = Field(10.0, ge=0, description="what the prior adds to the concentration of staying in a state")
    held_out: float = Field(
        0.0, ge=0, lt=1, description="share of the observed entries that is held out to measure imputation"
    )
    held_out_seed: int = Field(0, ge=0, description="seed of that choice")
    seed: int = Field(0, ge=0, description="seed of clustering, network, batches and samples")
    held_out_sequences: int = Field(
        0, ge=0, description="sequences, the data's last, that are not learnt from: the bound on them is measured"
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
        """Checks the plugins within: what is wrong with them is told before anything runs.

        Raises:
            StudyError: one is unknown, or its parameters cannot be used.
        """
        for box, kind in self.boxes.items():
            try:
                _make(kind, getattr(self, box))
            except StudyError as error:
                raise StudyError(f"{box}: {error}") from error

    def problem(self):
        from slds_core.models.slds import slds_problem

        lengths = self._split(_make("data", self.data).load())[0].lengths
        return slds_problem(lengths if len(lengths) > 1 else None)

    def rebuild(self, dataset):
        from slds_core.models.slds import slds_problem

        return slds_problem(dataset["length"].values if "length" in dataset else None)

    def input_files(self) -> list[Path]:
        files = list(_make("data", self.data).input_files())
        references = [_setting(getattr(self, box))[0].rpartition(":") for box in self.boxes]
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

        from slds_core.learning.imputation import hold_out
        from slds_core.study.training_files import TrainingFiles
        from slds_core.study.training_loop import QUANTITIES, train

        series = _make("data", self.data).load()
        learnt, unseen = self._split(series)
        held_out = hold_out(learnt.observed, self.held_out, self.held_out_seed)
        run, progress = self._begin(learnt.hide(held_out))
        files = None if keep is None else TrainingFiles(keep, self._key())
        progress, records = train(run, progress, self.epochs, files, self.judge)
        whole = run.whole()
        history = {
            f"training_{name}": ("epoch", records[:, column], f"training: {name.replace('_', ' ')}", unit)
            for column, (name, unit) in enumerate(QUANTITIES.items())
        }
        parameters = eqx.filter_jit(lambda model: model.parameters(whole))(progress.model)
        extra = history | self._ending(run, progress, learnt, held_out, unseen)
        return BuiltModel(whole.problem, parameters, jnp.asarray(run.marginals(progress)), extra)

    def _split(self, series: Any) -> tuple[Any, Any]:
        """Returns the sequences to learn from, and those held out; ``None`` where there are none.

        Raises:
            StudyError: no sequence would be left to learn from.
        """
        count = len(series.lengths)
        if self.held_out_sequences >= count:
            raise StudyError(
                f"held_out_sequences: expected less than the data's {count}, found {self.held_out_sequences}"
            )
        cut = count - self.held_out_sequences
        if cut == count:
            return series, None
        return series.select(range(cut)), series.select(range(cut, count))

    def _begin(self, series: Any) -> Any:
        """Returns the run and the progress before its first epoch."""
        import jax
        import optax

        from slds_core.learning import SVAE as Model
        from slds_core.learning import ExactEncoder, Learner, full_batch, prior_factors, warm_start
        from slds_core.learning.encoder import imitating, imitating_network
        from slds_core.learning.run import Run

        inference, gradient = _make("inference", self.inference), _make("gradients", self.gradient)
        prior = prior_factors(self.latent, self.states, noise=self.prior_noise, stickiness=self.stickiness)
        batch = full_batch(series)
        start = warm_start(batch, prior, seed=self.seed)
        if self.encoder == "exact":
            encoder = ExactEncoder()
        elif self.encoder == "linear":
            encoder = imitating(start.decoder)
        else:
            encoder = imitating_network(
                start.decoder, batch.values, batch.observed, self.width, jax.random.key(self.seed)
            )
        at_fixed_point = type(gradient).start == "fixed_point"
        optimizer = optax.adam(self.learning_rate)
        learner = Learner(inference.infer, gradient.estimate, at_fixed_point, prior, optimizer, self.natural_rate)
        run = Run(learner, series, batch_size=self.batch, seed=self.seed, cold=self.start == "uniform")
        return run, run.begin(Model(encoder, start.decoder, start.factors), start.marginals)

    def _ending(self, run: Any, progress: Any, series: Any, held_out: np.ndarray, unseen: Any) -> dict[str, Any]:
        """Returns what the learnt model is worth, with inference converged: the same judge whatever estimator trained it."""
        import equinox as eqx
        import jax.numpy as jnp

        from slds_core.learning import full_batch
        from slds_core.learning.factors import divergence
        from slds_core.learning.judge import settled, uniform_start

        model, whole = progress.model, run.whole()
        found = eqx.filter_jit(settled)(model, whole, jnp.asarray(run.marginals(progress)))
        shared = float(divergence(model.factors, run.learner.prior))
        bound = (float(found.likelihood - found.local_divergence) - shared) / run.entries
        extra: dict[str, Any] = {
            "training_final_bound": (
                (),
                bound,
                "bound after the last epoch, inference converged, an observed entry",
                "nat",
            ),
            "training_final_residual": ((), float(found.residual), "largest change in one more sweep there", "1"),
        }
        if unseen is not None:
            batch = full_batch(unseen)
            local = eqx.filter_jit(settled)(model, batch, uniform_start(batch, self.states))
            each = float(local.likelihood - local.local_divergence) / max(int(unseen.observed.sum()), 1)
            words = "bound on the log-likelihood of the sequences held out, an observed entry, standardised"
            extra["training_method"] = "method", ["model"], "what predicts", "1"
            extra["training_held_out_bound"] = "method", [each], words, "nat"
        return extra | self._imputation(run, progress, found.gaussian, series, held_out)

    def _imputation(self, run: Any, progress: Any, gaussian: Any, series: Any, held_out: np.ndarray) -> dict[str, Any]:
        """Returns what the model makes of the entries held out, and linear interpolation beside it."""
        import jax.numpy as jnp

        from slds_core.learning import full_batch
        from slds_core.learning.imputation import imputation, interpolate

        if not held_out.any():
            return {}
        batch = run.whole()
        mean, variance = progress.model.decoder.predict(gaussian)
        pairs = full_batch(series).values, jnp.asarray(held_out)
        values, held = (np.asarray(batch.packed(array)) for array in pairs)
        known = run.series
        straight = np.concatenate(
            [interpolate(v[:n], o[:n]) for v, o, n in zip(known.values, known.observed, known.lengths, strict=True)]
        )
        found = imputation(values, held, np.asarray(mean), np.asarray(variance), straight)
        words = {
            "error": "root mean square error of imputation, entries held out, standardised",
            "interpolation_error": "the same of linear interpolation in time",
            "log_density": "mean predictive log-density of entries held out",
        }
        return {
            f"training_held_out_{name}": ((), getattr(found, name), text, "nat" if name == "log_density" else "1")
            for name, text in words.items()
        }

    def _key(self) -> str:
        """Returns what tells this training from others: all that it depends on, but not how long it goes on."""
        from slds_core.study.provenance import file_hash, settings_hash

        own = self.model_dump(mode="json", exclude={"epochs"})
        files = {str(path): file_hash(path) for path in self.input_files()}
        identities = [registry.identity(kind, _setting(getattr(self, box))[0]) for box, kind in self.boxes.items()]
        return settings_hash([own, files, identities, registry.identity("models", "svae")])


def _setting(box: Box) -> tuple[str, dict[str, Any]]:
    """Returns reference and parameters of a plugin within a plugin's parameters.

    Raises:
        StudyError: it names no plugin.
    """
    if isinstance(box, str):
        return box, {}
    if not isinstance(box.get("plugin"), str):
        raise StudyError(f"expected a plugin's name, or the key 'plugin' and its parameters, found {box!r}")
    return box["plugin"], {key: value for key, value in box.items() if key != "plugin"}


def _make(kind: str, box: Box) -> Any:
    return registry.make(kind, *_setting(box))
