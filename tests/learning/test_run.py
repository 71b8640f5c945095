"""Training runs: resumed exactly, stopped by name, the same whatever comes after; and the plugin that trains."""

import itertools
import logging
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import DTYPE

from slds_core.data.synthetic_slds import synthetic_slds
from slds_core.fixed_point import coordinate_ascent
from slds_core.gradients import fisher_cg, one_step, unrolled
from slds_core.learning import Learner, full_batch, prior_factors, warm_start
from slds_core.learning.encoder import imitating, imitating_network
from slds_core.learning.factors import divergence
from slds_core.learning.judge import converged_bound
from slds_core.learning.network_decoder import correcting
from slds_core.learning.run import EpochRecord, NonFinite, Run
from slds_core.learning.training import SVAE
from slds_core.study import registry
from slds_core.study.configuration import read_configuration
from slds_core.study.errors import StudyError
from slds_core.study.stages.build_model import build_model
from slds_core.study.svae import SVAE as Plugin
from slds_core.study.training_files import TrainingFiles
from slds_core.study.training_loop import QUANTITIES, train

SERIES = synthetic_slds(lengths=[12, 7, 12], missing=0.1, channels=3)
TINY = {
    "data": {"plugin": "synthetic_slds", "lengths": [12, 7, 12], "channels": 3},
    "states": 2,
    "batch": 2,
    "inference": {"plugin": "coordinate_ascent", "max_sweeps": 100, "tolerance": 1e-9},
}


def infer(problem, parameters, state):
    return coordinate_ascent(
        problem, parameters, state, max_sweeps=200, tolerance=1e-10 if jnp.float64 == DTYPE else 1e-5
    )


ESTIMATORS = {
    "fisher_cg": (lambda *a: fisher_cg(*a, tolerance=1e-8), True),
    "one_step": (one_step, True),
    "unrolled": (lambda *a: unrolled(*a, sweeps=5), False),
}


def begin(estimator="fisher_cg", encoder="linear", decoder="linear", **options):
    estimate, at_fixed_point = ESTIMATORS[estimator]
    prior = prior_factors(2, 2)
    batch = full_batch(SERIES)
    start = warm_start(batch, prior, restarts=1, iterations=5)
    networks = {"linear": imitating(start.decoder)}
    if encoder == "mlp":
        networks["mlp"] = imitating_network(start.decoder, batch.values, batch.observed, 8, jax.random.key(0), steps=50)
    learner = Learner(infer, estimate, at_fixed_point, prior, optax.adam(options.pop("rate", 1e-2)), 0.3)
    run = Run(learner, SERIES, batch_size=2, seed=1)
    own = start.decoder if decoder == "linear" else correcting(start.decoder, 4, jax.random.key(0))
    return run, run.begin(SVAE(networks[encoder], own, start.factors), start.marginals)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "encoder"), [("fisher_cg", "linear"), ("unrolled", "linear"), ("one_step", "mlp")]
)
def test_training_raises_the_bound(estimator, encoder):
    run, progress = begin(estimator, encoder)
    bounds = []
    for _ in range(15):
        progress, record = run.epoch(progress)
        bounds.append(record.bound)
        assert record.unsolved == 0
    assert bounds[-1] > bounds[0] + 0.05
    assert 1 <= record.effective_states <= 2 + 1e-6


def test_each_step_draws_with_a_key_of_its_own():
    runs = [Run(begin()[0].learner, SERIES, batch_size=2, seed=seed) for seed in range(2)]
    steps = itertools.product(runs, range(4), range(3))
    keys = {tuple(np.asarray(jax.random.key_data(run._key(epoch, batch)))) for run, epoch, batch in steps}
    assert len(keys) == 2 * 4 * 3


def test_states_of_batches_return_to_the_datas_order():
    run, progress = begin()
    marginals = run.marginals(progress)
    again = run.begin(progress.model, marginals)
    assert marginals.shape == (28, 2)
    for a, b in zip(again.states, progress.states, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_first_bad_quantity_is_named():
    run, progress = begin(rate=float("nan"))
    with pytest.raises(NonFinite, match=r"epoch 1, batch \d: the encoder and decoder held a NaN .* inference ended as"):
        run.epoch(progress)


@pytest.mark.slow
def test_killed_and_resumed_is_uninterrupted(tmp_path):
    """Files are kept every ten epochs and at the end: the run of 12 goes on from that of 10, which went on from that of 3."""
    straight = Plugin(**TINY, epochs=12).build()
    for epochs in (3, 11, 12):
        resumed = Plugin(**TINY, epochs=epochs).fit(tmp_path)
    for a, b in zip(jax.tree.leaves(straight[1:3]), jax.tree.leaves(resumed[1:3]), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(straight.extra["training_bound"][1], resumed.extra["training_bound"][1])
    assert len(list(tmp_path.glob("*.eqx"))) == 4  # after 3, 10, 11 and 12 epochs
    Plugin(**TINY, epochs=3, seed=1).fit(tmp_path)  # another run does not take them up
    assert len(list(tmp_path.glob("*.eqx"))) == 5
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
def test_a_resumed_network_draws_the_same_samples(tmp_path):
    """Six epochs of two batches each, straight through or from the files that two and five left."""
    run, progress = begin("one_step", decoder="mlp")
    straight, records = train(run, progress, 6, None)
    for last in (2, 5, 6):
        resumed, again = train(run, progress, last, TrainingFiles(tmp_path, "key"))
    for a, b in zip(jax.tree.leaves(straight), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    kept = slice(0, len(EpochRecord._fields))  # what follows tells times
    np.testing.assert_array_equal(records[:, kept], again[:, kept])


@pytest.mark.slow
def test_what_was_learnt_is_in_the_models_file(tmp_path):
    settings = {"plugin": "svae", "parameters": TINY | {"epochs": 2, "held_out": 0.2}}
    build_model("learnt", settings, "float64", tmp_path / "model.nc")
    again = registry.make(
        "models", "netcdf", {"path": str(tmp_path / "model.nc")}
    ).build()  # a trained model is a model file
    assert again.problem.lengths == (12, 7, 12)
    from slds_core.study import store

    found = store.read(tmp_path / "model.nc", "model")
    assert found["training_bound"].shape == (2,)
    assert found["training_held_out_error"] > 0


def test_every_recorded_quantity_has_its_units_and_words():
    assert list(QUANTITIES)[: len(EpochRecord._fields)] == list(EpochRecord._fields)
    units = {name: unit for name, (unit, _) in QUANTITIES.items()}
    for name in ("bound", "likelihood", "local_divergence", "global_divergence", "converged_bound"):
        assert units.pop(name) == "nat", name
        assert "per observed entry" in QUANTITIES[name][1]
    assert [units.pop(name) for name in ("seconds", "cpu_seconds")] == ["s", "s"]
    assert set(units.values()) == {"1"}
    assert len({words for _, words in QUANTITIES.values()}) == len(QUANTITIES)


class Steady:
    """A run whose epochs do nothing."""

    def prepare(self, progress):
        pass

    def epoch(self, progress):
        values = dict.fromkeys(EpochRecord._fields, 0.0) | {"bound": -1.25}
        return progress._replace(epoch=progress.epoch + 1), EpochRecord(**values)


class At(NamedTuple):
    epoch: int


@pytest.mark.parametrize(("baseline", "label"), [("", ""), ("lds", "baseline lds: ")])
def test_lines_of_a_baseline_are_told_from_the_models(capsys, baseline, label):
    _, records = train(Steady(), At(0), 3, None, baseline=baseline)  # type: ignore[arg-type]
    assert records.shape == (3, len(QUANTITIES))
    assert capsys.readouterr().err == f"{label}epoch 3 of 3: bound -1.2500 nats per entry, 0 s left\n"


def study(**changes):
    return {
        "models": {"learnt": {"plugin": "svae"} | TINY | changes},
        "inference": {"converged": {"plugin": "newton_cg"}},
        "objective": {"plugin": "elbo"},
    }


def test_a_list_of_epochs_is_an_audit_along_training(tmp_path):
    table = {"plugin": "table", "path": "data.csv"}
    (tmp_path / "data.csv").write_text("a,b\n1,2\n2,3\n3,5\n")
    found = read_configuration(study(data=table, epochs=[0, 10], gradient=["one_step", "fisher_cg"]), folder=tmp_path)
    assert list(found.models) == [
        f"learnt_epochs_{epochs}_gradient_{gradient}" for epochs in (0, 10) for gradient in ("one_step", "fisher_cg")
    ]
    assert found.models["learnt_epochs_0_gradient_one_step"].parameters["data"]["path"] == str(tmp_path / "data.csv")


def test_errors_in_nested_plugins_are_told():
    with pytest.raises(StudyError, match="data: no plugin 'macrodat' among data; did you mean 'macrodata'"):
        read_configuration(study(data="macrodat"))
    with pytest.raises(StudyError, match="data: expected a plugin's name, or the key 'plugin'"):
        read_configuration(study(data={"lengths": [3]}))
    with pytest.raises(StudyError, match="gradient: unknown key 'toleranc'; did you mean 'tolerance'"):
        read_configuration(study(gradient={"plugin": "fisher_cg", "toleranc": 1}))


@pytest.mark.parametrize("masked", [[10, 5], [5, 5], [-1, 3]])
def test_steps_that_are_none_are_refused_without_data(masked):
    with pytest.raises(StudyError, match=rf"masked: expected a first step .* found \[{masked[0]}, {masked[1]}\]"):
        read_configuration(study(masked=masked))


@pytest.mark.slow
def test_the_judge_finds_no_error_in_a_solved_gradient_and_some_in_one_step():
    """At the same parameters, those of the network's warm start: the objective is the same, and one step's gradient is not."""
    run, progress = begin("fisher_cg", "mlp")
    error, bound = run.judge(progress)
    assert error < 1e-6
    rough, same = begin("one_step", "mlp")[0].judge(progress)
    assert 1e-4 < rough < 1
    assert same == pytest.approx(bound, abs=1e-9)
    found = converged_bound(progress.model, run.whole(), jnp.asarray(run.marginals(progress)))
    local = float(found.likelihood - found.local_divergence)
    shared = float(divergence(progress.model.factors, run.learner.prior))
    assert bound == pytest.approx((local - shared) / run.entries, abs=1e-8)
    assert found.residual < 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("cold", [True, False])
def test_a_cold_run_forgets_where_inference_ended(cold):
    run, progress = begin("unrolled")  # five sweeps: what comes of them depends on where they start
    run.cold = cold
    elsewhere = eqx.tree_at(lambda p: p.states, progress, [state[:, ::-1] for state in progress.states])
    one, other = (jax.tree.leaves(run.epoch(start)[0].model) for start in (progress, elsewhere))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True)) == cold


@pytest.mark.slow
def test_sequences_held_out_are_not_learnt_from():
    short = Plugin(**TINY | {"data": TINY["data"] | {"lengths": [12, 7]}}, epochs=0).build()
    held = Plugin(**TINY, epochs=0, held_out_sequences=1).build()
    for a, b in zip(jax.tree.leaves(short[1:3]), jax.tree.leaves(held[1:3]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert held.problem.lengths == (12, 7)
    assert np.isfinite(held.extra["training_held_out_bound"][1][0])
    with pytest.raises(StudyError, match="held_out_sequences: expected at least 0 and less than the data's 3, found 3"):
        Plugin(**TINY, epochs=0, held_out_sequences=3).build()


@pytest.mark.slow
def test_nothing_is_compiled_in_the_first_epoch(caplog):
    """Its processor time would hold the compilation, of whichever training comes first in a process."""
    jax.clear_caches()
    run, progress = begin()
    run.prepare(progress)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        run.epoch(progress)
    assert not [record.getMessage() for record in caplog.records if "ompil" in record.getMessage()]
