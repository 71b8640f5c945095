"""Parameters survive the way through a command line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slds_core.study.assignments import as_text, from_text
from slds_core.study.errors import StudyError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(value=values)
def test_there_and_back(value):
    key, back = from_text(as_text("key", value))
    assert (key, type(back), back) == ("key", type(value), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain text", "k=plain text"),
        ("12", 'k="12"'),
        ("NaN", 'k="NaN"'),
        ("a=b", "k=a=b"),
        (1e-8, "k=1e-08"),
        ([3, 4], "k=[3, 4]"),
    ],
)
def test_text_stays_readable(value, text):
    assert as_text("k", value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{plugin: macrodata, columns: [cpi]}", {"plugin": "macrodata", "columns": ["cpi"]}),
        ("[first, 2, true]", ["first", 2, True]),
        ('{"plugin": "macrodata"}', {"plugin": "macrodata"}),
        ("{plugin: [", "{plugin: ["),
        ("plain: text", "plain: text"),
    ],
)
def test_lists_and_mappings_as_in_a_configuration(text, value):
    assert from_text(f"k={text}") == ("k", value)
    assert from_text(as_text("k", text)) == ("k", text)


def test_no_equals_sign():
    with pytest.raises(StudyError, match=r"^--set: expected key=value, found 'sweeps'$"):
        from_text("sweeps")
