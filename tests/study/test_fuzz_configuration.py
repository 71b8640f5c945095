"""Whatever a configuration holds, reading it ends in a study or in an error of ours."""

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slds_core.study.configuration import read_configuration, read_files
from slds_core.study.errors import StudyError

ROOT = Path(__file__).parent.parent.parent
STUDIES = [ROOT / "config.yaml", ROOT / "examples" / "studies" / "gradient_audit.yaml"]
KEYS = [
    "plugin",
    "plugins",
    "at",
    "sweeps",
    "tolerance",
    "path",
    "lengths",
    "seed",
    "time",
    "models",
    "inference",
    "gradients",
]
NAMES = [
    "notebook",
    "random_slds",
    "netcdf",
    "newton_cg",
    "fisher_cg",
    "unrolled",
    "elbo",
    "linear",
    "converged",
    "a.py:b",
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(NAMES),
    st.binary(max_size=4),
)
keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(NAMES), scalars)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)
few = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@few
@given(content=st.dictionaries(keys, trees, max_size=5))
def test_any_tree(content):
    with pytest.raises(StudyError):  # such a tree is never a whole study
        read_configuration(content)


@few
@given(data=st.data(), value=trees, study=st.sampled_from(STUDIES))
def test_one_value_anywhere_in_a_good_study(data, value, study):
    content = yaml.safe_load(study.read_text())
    place = content
    while True:
        key = data.draw(st.sampled_from(sorted(place, key=str) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    with contextlib.suppress(StudyError):
        read_configuration(content)


@few
@given(text=st.text(max_size=60) | st.binary(max_size=60))
def test_any_text(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with pytest.raises(StudyError):
        read_files([path])


@few
@given(data=st.data(), study=st.sampled_from(STUDIES))
def test_a_good_study_cut_or_garbled(data, study, tmp_path_factory):
    text = study.read_text()
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(start + 40, len(text))))
    path = tmp_path_factory.mktemp("fuzz") / "config.yaml"
    path.write_text(
        text[:start] + data.draw(st.text(max_size=5)).replace("\r", "") + text[stop:],
        encoding="utf-8",
        errors="replace",
    )
    with contextlib.suppress(StudyError):
        read_files([path])
