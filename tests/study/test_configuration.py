"""Wrong configurations, and what a person reads about them."""

import copy
import re

import pytest

from slds_core.study.configuration import read_configuration
from slds_core.study.errors import StudyError

GOOD = {
    "models": {"notebook": {"plugin": "notebook"}},
    "inference": {"converged": {"plugin": "coordinate_ascent", "max_sweeps": 2000, "tolerance": 1e-14}},
    "objective": {"plugin": "linear", "seed": 3},
    "gradients": {
        "unrolled_100": {"plugin": "unrolled", "sweeps": 100},
        "implicit": {"plugin": "bicgstab", "at": "converged"},
    },
    "references": ["implicit"],
}
LEFT_OUT = object()


def changed(*changes):
    """Returns the good configuration with values set at dotted paths."""
    raw = copy.deepcopy(GOOD)
    for path, value in changes:
        *folders, last = path.split("/")
        place = raw
        for folder in folders:
            place = place[folder]
        if value is LEFT_OUT:
            del place[last]
        else:
            place[last] = value
    return raw


def complaints(raw):
    with pytest.raises(StudyError) as caught:
        read_configuration(raw)
    first, *rest = str(caught.value).splitlines()
    assert first == "The configuration cannot be used:"
    return [line.removeprefix("  - ") for line in rest]


def test_good_configuration():
    configuration = read_configuration(GOOD)
    assert configuration.precision == "float64"
    assert configuration.inference["converged"].parameters == {"max_sweeps": 2000, "tolerance": 1e-14}
    assert configuration.gradients["implicit"].at == "converged"
    assert configuration.gradients["implicit"].parameters == {}


WRONG = [
    ("modles", {},
     "modles: unknown key; did you mean 'models'?"),
    ("models", LEFT_OUT,
     "configuration: key 'models' is missing"),
    ("objective", LEFT_OUT,
     "configuration: key 'objective' is missing"),
    ("precision", "float16",
     "precision: input should be 'float32' or 'float64', found 'float16'"),
    ("models", {},
     "models: expected at least one setting, found none"),
    ("models/notebook", {},
     "models.notebook: key 'plugin' is missing"),
    ("models/notebook/plugin", "notebok",
     "models.notebook: no plugin 'notebok' among models; did you mean 'notebook'?"),
    ("models/notebook/seed", 3,
     "models.notebook: unknown key 'seed'; none is expected here"),
    ("models/a b", {'plugin': 'notebook'},
     "models.a b: a name may hold up to 100 letters, digits, '_', '-' and '.', and becomes a file name"),
    ("models/.hidden", {'plugin': 'notebook'},
     "models..hidden: a name may hold up to 100 letters, digits, '_', '-' and '.', and becomes a file name"),
    ("inference/converged/max_sweep", 3,
     "inference.converged: unknown key 'max_sweep'; did you mean 'max_sweeps'?"),
    ("inference/converged/max_sweeps", 0,
     "inference.converged: max_sweeps: input should be greater than or equal to 1, found 0"),
    ("inference/converged/tolerance", -1.0,
     "inference.converged: tolerance: input should be greater than or equal to 0, found -1.0"),
    ("inference/converged/tolerance", float('nan'),
     "inference.converged: tolerance: input should be a finite number, found nan"),
    ("objective/plugin", "elbow",
     "objective: no plugin 'elbow' among objectives; did you mean 'elbo'?"),
    ("gradients/unrolled_100/sweeps", LEFT_OUT,
     "gradients.unrolled_100: key 'sweeps' is missing"),
    ("gradients/unrolled_100/sweeps", 1.5,
     "gradients.unrolled_100: sweeps: input should be a valid integer, got a number with a fractional part, found 1.5"),
    ("gradients/unrolled_100/at", "converged",
     "gradients.unrolled_100: 'unrolled' starts where inference starts; remove 'at: converged'"),
    ("gradients/implicit/at", LEFT_OUT,
     "gradients.implicit: 'bicgstab' needs 'at', the inference setting to differentiate at: converged"),
    ("gradients/implicit/at", "convergd",
     "gradients.implicit: at: no inference setting 'convergd'; did you mean 'converged'?"),
    ("references", ['implict'],
     "references: no gradient setting 'implict'; did you mean 'implicit'?"),
    ("resources", {"gradient": {"mem_gb": 3}},
     "resources.gradient.mem_gb: unknown key; did you mean 'mem_mb'?"),
    ("resources", {"gradient": {"runtime": 0}},
     "resources.gradient.runtime: input should be greater than 0, found 0"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "complaint"), WRONG, ids=[f"{i}-{w[0]}" for i, w in enumerate(WRONG)])
def test_wrong_configuration(path, value, complaint):
    assert complaints(changed((path, value))) == [complaint]


def test_a_rule_that_is_none_names_the_rules():
    [complaint] = complaints(changed(("resources", {"gradients": {"threads": 2}})))
    assert complaint.startswith("resources.gradients: input should be 'all', 'build_model', 'fit', 'infer'")


def test_what_a_rule_says_of_resources_goes_before_what_all_says():
    raw = changed(("resources", {"all": {"mem_mb": 1000, "slurm_partition": "short"}, "gradient": {"mem_mb": 9000}}))
    configuration = read_configuration(raw)
    assert configuration.needs("gradient") == {"mem_mb": 9000, "slurm_partition": "short"}
    assert configuration.needs("infer") == {"mem_mb": 1000, "slurm_partition": "short"}
    assert read_configuration(GOOD).needs("infer") == {}


def test_everything_wrong_is_listed_at_once():
    found = complaints(
        changed(
            ("inference/converged/max_sweeps", 0),
            ("inference/converged/tolerence", 1e-3),
            ("objective/plugin", "elbow"),
            ("gradients/implicit/at", LEFT_OUT),
            ("references", ["nobody"]),
        )
    )
    assert [re.split(": ", line)[0] for line in found] == [
        "inference.converged",
        "inference.converged",
        "gradients.implicit",
        "references",
        "objective",
    ]
    assert "max_sweeps" in found[0]
    assert "did you mean 'tolerance'?" in found[1]
