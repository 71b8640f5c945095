"""Configurations as files: what a person reads about a wrong one, with the line it stands in."""

import textwrap
from pathlib import Path

import pytest

from slds_core.study.configuration import read_files
from slds_core.study.errors import StudyError

GOOD = """\
title: A study
precision: float64
models:
  notebook: {plugin: notebook}
inference:
  converged: {plugin: coordinate_ascent, max_sweeps: 2000}
objective: {plugin: elbo}
gradients:
  implicit: {plugin: fisher_cg, at: converged}
references: [implicit]
"""

PLUGIN = '''
from pydantic import Field
from slds_core.plugins import GradientPlugin

class OwnWay(GradientPlugin):
    """A way of one's own."""
    strength: float = Field(1.0, gt=0, description="how much of it")
    def estimate(self, problem, objective, parameters, state):
        raise NotImplementedError
'''


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "config.yaml") -> Path:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(textwrap.dedent(text))
        return Path(name)

    return write


def complaints(path: Path) -> list[str]:
    with pytest.raises(StudyError) as caught:
        read_files([path])
    first, *rest = str(caught.value).splitlines()
    return [line.removeprefix("  - ") for line in rest] if first == "The configuration cannot be used:" else [first]


# one line of the good file, what stands there instead, what a person reads
WRONG = [
    ("  notebook: {plugin: notebook}", "  notebook: {plugin: notebok}",
     "config.yaml:4: models.notebook: no plugin 'notebok' among models; did you mean 'notebook'?"),
    ("  notebook: {plugin: notebook}", "  notebook: {plugin: notebook}\n  notebook: {plugin: notebook}",
     "config.yaml:5: models.notebook: is given twice"),
    ("  notebook: {plugin: notebook}", "  drawn:\n    plugin: random_slds\n    time: 20\n    time: 30",
     "config.yaml:7: models.drawn.time: is given twice"),
    ("objective: {plugin: elbo}", "objective: {plugin: linear, seed: 1, seed: 2}",
     "config.yaml:7: objective.seed: is given twice"),
    ("  notebook: {plugin: notebook}", "  notebook: notebook",
     "config.yaml:4: models.notebook: expected a plugin and its parameters, found 'notebook'"),
    ("  notebook: {plugin: notebook}", "  ? [a, b]\n  : {plugin: notebook}",
     "config.yaml:4: not valid YAML: found unhashable key"),
    ("  notebook: {plugin: notebook}", "  notebook: {plugin: netcdf, path: nowhere.nc}",
     "config.yaml:4: models.notebook: nowhere.nc: no such file"),
    ("  notebook: {plugin: notebook}", "  drawn: {plugin: random_slds, time: [20, -3]}",
     "config.yaml:4: models.drawn: time: input should be greater than or equal to 1, found -3"),
    ("  notebook: {plugin: notebook}", "  d_20: {plugin: notebook}\n  d: {plugin: random_slds, time: [20, 30]}",
     "config.yaml:5: models.d: its list makes a setting 'd_20', a name that another one has"),
    ("  notebook: {plugin: notebook}", "  yes: {plugin: notbook}",
     "config.yaml:4: models.yes: no plugin 'notbook' among models; did you mean 'notebook'?"),
    ("  notebook: {plugin: notebook}", "  d: {plugin: random_slds, time: [20, 30, 20]}",
     "config.yaml:4: models.d: time: values of a list that make the setting 'd_20' twice; expected one of each"),
    ("  notebook: {plugin: notebook}", "  1: {plugin: [notebook, random_slds]}",
     "config.yaml:4: models.1: plugin: expected a plugin's name, found ['notebook', 'random_slds']"),
    ("  notebook: {plugin: notebook}", "  d: {plugin: random_slds, time: 12, missing_start: 30, missing_length: 2}",
     "config.yaml:4: models.d: missing_start: expected a step below 12, found 30"),
    ("precision: float64", "precision: double",
     "config.yaml:2: precision: input should be 'float32' or 'float64', found 'double'"),
    ("precision: float64", "precison: float64",
     "config.yaml:2: precison: unknown key; did you mean 'precision'?"),
    ("precision: float64", "plugins: [nowhere.py]",
     "config.yaml:2: plugins: nowhere.py is not there; expected a .py file or a folder of them"),
    ("precision: float64", "defaults: {gradients: {tolerence: 1.0e-3}}",
     "config.yaml:2: defaults.gradients.tolerence: no plugin among this study's gradients takes 'tolerence'"),
    ("precision: float64", "defaults: {gradient: {tolerance: 1.0e-3}}",
     "config.yaml:2: defaults.gradient: input should be 'models', 'inference' or 'gradients', found 'gradient'"),
    ("  converged: {plugin: coordinate_ascent, max_sweeps: 2000}", "  converged: {max_sweeps: 2000}",
     "config.yaml:6: inference.converged: key 'plugin' is missing"),
    ("  converged: {plugin: coordinate_ascent, max_sweeps: 2000}", "  ../up: {plugin: coordinate_ascent}",
     "config.yaml:6: inference.../up: a name may hold up to 100 letters, digits, '_', '-' and '.', and becomes a file name"),
    ("objective: {plugin: elbo}", "objective: {plugin: linear, seed: one}",
     "config.yaml:7: objective: seed: input should be a valid integer, unable to parse string as an integer, found 'one'"),
    ("objective: {plugin: elbo}", "objective: [elbo]",
     "config.yaml:7: objective: expected a plugin and its parameters, found ['elbo']"),
    ("  implicit: {plugin: fisher_cg, at: converged}", "  implicit: {plugin: fisher_cg, at: [converged, start]}",
     "config.yaml:9: gradients.implicit: at: no inference setting 'start'; expected one of: converged"),
    ("  implicit: {plugin: fisher_cg, at: converged}", "  implicit: {plugin: fisher_cg}",
     "config.yaml:9: gradients.implicit: 'fisher_cg' needs 'at', the inference setting to differentiate at: converged"),
    ("  implicit: {plugin: fisher_cg, at: converged}", "  implicit: {plugin: 'own.py:way', at: converged}",
     "config.yaml:9: gradients.implicit: plugin file {folder}/own.py: cannot be read: "
     "[Errno 2] No such file or directory: '{folder}/own.py'"),
    ("references: [implicit]", "references: [explicit]",
     "config.yaml:10: references: no gradient setting 'explicit'; did you mean 'implicit'?"),
    ("references: [implicit]", "references: {a: b",
     "config.yaml:11: not valid YAML: expected ',' or '}', but got '<stream end>'"),
    ("title: A study", "title: !!python/object/apply:os.system ['true']",
     "config.yaml:1: not valid YAML: could not determine a constructor for the tag "
     "'tag:yaml.org,2002:python/object/apply:os.system'"),
    ("  notebook: {plugin: notebook}", f"  drawn: {{plugin: random_slds, time: {list(range(1, 51))}, seed: {list(range(50))}}}",
     "config.yaml:4: models.drawn: the lists of time, seed stand for 2500 settings, expected at most 1000"),
    ("title: A study", "\n".join(["a0: &a0 {}", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]),
     "config.yaml: holds more than 100000 values once its aliases are followed"),
    ("title: A study", "title: &a {within: *a}",
     "config.yaml: holds more than 100000 values once its aliases are followed"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "instead", "complaint"), WRONG, ids=[f"{i}" for i in range(len(WRONG))])
def test_wrong_line(study, line, instead, complaint, tmp_path):
    assert line in GOOD
    found = complaints(study(GOOD.replace(line, instead)))
    expected = complaint.replace("{folder}", str(tmp_path))
    assert found[0] == expected or expected in found


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "config.yaml: expected keys such as 'models' and 'inference', found nothing"),
        ("- a\n- b\n", "config.yaml: expected keys such as 'models' and 'inference', found list"),
        ("just words\n", "config.yaml: expected keys such as 'models' and 'inference', found str"),
        ("models: {}\n", "config.yaml:1: models: expected at least one setting, found none"),
    ],
)
def test_no_study_at_all(study, text, complaint):
    assert complaint in complaints(study(text))


def test_a_mapping_in_a_list_is_refused_once(study):
    """However many settings the lists stand for."""
    model = (
        "  learnt: {plugin: svae, data: macrodata, epochs: [0, 8], seed: [0, 1], "
        "gradient: [{plugin: fisher_cg}, {plugin: unrolled, sweeps: [5, 50]}]}"
    )
    [complaint] = complaints(study(GOOD.replace("  notebook: {plugin: notebook}", model)))
    assert complaint == (
        "config.yaml:4: models.learnt: gradient: the values of a list become names of files, so a mapping cannot be in one; "
        "expected a setting of its own for each"
    )


def test_a_missing_file(study):
    with pytest.raises(StudyError, match=r"^nowhere.yaml: no such file; expected a configuration in YAML$"):
        read_files([Path("nowhere.yaml")])


def test_a_file_that_is_no_text(study, tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(StudyError, match=r"^config.yaml: cannot be read"):
        read_files([Path("config.yaml")])


BLOCKS = """\
title: [a, b]
models:
  learnt:
    plugin: svae
    latnet: 2
    data:
      plugin: macrodata
      columns: unemp
    prior_noise: -0.1
inference:
  converged:
    plugin: newton_cg
    tolerance: -1
objective:
  plugin: linear
  seed: -1
gradients:
  implicit:
    plugin: fisher_cg
    at: convergd
references: implicit
"""


def test_every_mistake_has_its_own_line(study):
    """Those of the file's shape, here of title and references, hide none of the others."""
    found = complaints(study(BLOCKS))
    assert [line.split(":")[1] for line in found] == ["1", "5", "9", "13", "16", "20", "21"]
    assert found[1].endswith("models.learnt: unknown key 'latnet'; did you mean 'latent'?")
    known = BLOCKS.replace("    latnet: 2\n", "").replace("    prior_noise: -0.1\n", "")
    [nested] = [line for line in complaints(study(known)) if "models.learnt" in line]
    assert nested.startswith("config.yaml:7: models.learnt: data: columns: ")


def test_what_other_parts_rest_on_is_told_first(study):
    """What refers to a section that has no shape is not refused for that."""
    assert complaints(study(GOOD.replace("inference:", "inferense:"))) == [
        "configuration: key 'inference' is missing",
        "config.yaml:5: inferense: unknown key; did you mean 'inference'?",
    ]


def test_everything_wrong_is_told_in_the_order_of_lines(study):
    text = GOOD.replace("max_sweeps: 2000", "max_sweeps: 0").replace("elbo", "elbow").replace("[implicit]", "[nobody]")
    assert [line.split(":")[1] for line in complaints(study(text))] == ["6", "7", "10"]


def test_values_that_look_alike_keep_all_their_digits(study):
    text = GOOD.replace("{plugin: notebook}", "{plugin: random_slds, stickiness: [0.5, 0.9999999, 0.99999999]}")
    assert list(read_files([study(text)]).models) == ["notebook_0.5", "notebook_0.9999999", "notebook_0.99999999"]


def test_a_plugins_own_complaint_stands_as_it_is(study):
    text = GOOD.replace("{plugin: fisher_cg, at: converged}", "{plugin: unrolled_converged, sweeps: 5000}")
    [complaint] = complaints(study(text))
    assert complaint.endswith("gradients.implicit: sweeps: expected at most half of max_sweeps = 6400, found 5000")


def test_lists_are_grids_with_readable_names(study):
    text = GOOD.replace(
        "  converged: {plugin: coordinate_ascent, max_sweeps: 2000}",
        "  converged: {plugin: newton_cg}\n  sweeps: {plugin: coordinate_ascent, max_sweeps: [10, 20]}",
    ).replace(
        "  implicit: {plugin: fisher_cg, at: converged}",
        "  implicit: {plugin: fisher_cg, at: [converged, sweeps_10]}\n"
        "  loose: {plugin: bicgstab, at: sweeps, tolerance: [1.0e-3, 1.0e-8], max_products: [10, 100]}",
    )
    found = read_files([study(text)])
    assert list(found.inference) == ["converged", "sweeps_10", "sweeps_20"]
    assert found.inference["sweeps_20"].parameters == {"max_sweeps": 20}
    assert list(found.gradients)[:2] == ["implicit_converged", "implicit_sweeps_10"]
    assert found.gradients["implicit_sweeps_10"].at == "sweeps_10"
    name = "loose_sweeps_20_tolerance_0.001_max_products_10"
    assert found.gradients[name].parameters == {"tolerance": 1e-3, "max_products": 10}
    assert len(found.gradients) == 2 + 2 * 2 * 2
    assert found.references == ["implicit_converged", "implicit_sweeps_10"]


def test_where_at_has_no_place_it_is_told_as_it_was_written(study):
    text = GOOD.replace(
        "  converged: {plugin: coordinate_ascent, max_sweeps: 2000}",
        "  converged: {plugin: newton_cg}\n  sweeps: {plugin: coordinate_ascent, max_sweeps: [10, 20]}",
    ).replace("references", "  rolled: {plugin: unrolled, sweeps: 3, at: sweeps}\nreferences")
    [complaint] = complaints(study(text))
    assert complaint.endswith("'unrolled' starts where inference starts; remove 'at: sweeps'")


def test_a_parameter_that_is_a_list_is_no_grid_unless_of_lists(study):
    single = GOOD.replace("{plugin: notebook}", "{plugin: random_slds, lengths: [5, 7]}")
    assert list(read_files([study(single)]).models) == ["notebook"]
    several = GOOD.replace("{plugin: notebook}", "{plugin: random_slds, lengths: [[5, 7], [9]]}")
    assert list(read_files([study(several)]).models) == ["notebook_5-7", "notebook_9"]


def test_defaults_are_written_once(study):
    text = (
        GOOD + "  # more\n" + "defaults: {gradients: {at: converged, tolerance: 1.0e-6}, inference: {max_sweeps: 7}}\n"
    )
    text = text.replace(
        "  implicit: {plugin: fisher_cg, at: converged}",
        "  implicit: {plugin: fisher_cg}\n  own: {plugin: fisher_cg, tolerance: 1.0e-9}\n  rolled: {plugin: unrolled, sweeps: 3}",
    )
    found = read_files([study(text)])
    assert found.gradients["implicit"].parameters == {"tolerance": 1e-6}
    assert found.gradients["own"].parameters == {"tolerance": 1e-9}
    assert found.gradients["own"].at == "converged"
    assert found.gradients["rolled"].at is None
    assert found.inference["converged"].parameters == {"max_sweeps": 2000}


def test_plugins_in_files_are_found_beside_the_configuration(study):
    study(PLUGIN, "plugins/own_way.py")
    text = GOOD.replace("fisher_cg", "own_way") + "plugins: [../plugins]\n"
    found = read_files([study(text, "studies/mine.yaml")])
    assert found.gradients["implicit"].plugin == "plugins/own_way.py:own_way"
    wrong = text.replace("own_way, at", "own_way, strength: 0, at")
    assert complaints(study(wrong, "studies/mine.yaml")) == [
        "studies/mine.yaml:9: gradients.implicit: strength: input should be greater than 0, found 0"
    ]


def test_plugins_in_files_serve_other_plugins_by_name(study):
    study(PLUGIN, "plugins/own_way.py")
    for own in ("own_way", "{plugin: own_way}"):
        text = GOOD.replace("{plugin: notebook}", f"{{plugin: svae, data: macrodata, gradient: {own}}}")
        found = read_files([study(text + "plugins: [plugins]\n")]).models["notebook"].parameters["gradient"]
        assert (found if isinstance(found, str) else found["plugin"]) == "plugins/own_way.py:own_way"
    [complaint] = complaints(study(text.replace("{plugin: own_way}", "{plugin: on_way}") + "plugins: [plugins]\n"))
    assert complaint.endswith("models.notebook: gradient: no plugin 'on_way' among gradients; did you mean 'own_way'?")


def test_a_broken_plugin_stops_nobody_but_those_who_need_it(study):
    study("import no_such_module\n", "plugins/broken.py")
    study(PLUGIN, "plugins/own_way.py")
    text = GOOD + "plugins: [plugins]\n"
    assert read_files([study(text)]).gradients["implicit"].plugin == "fisher_cg"
    [complaint] = complaints(study(text.replace("fisher_cg", "brokn")))
    assert "no plugin 'brokn' among gradients" in complaint
    assert "broken.py: cannot be imported: ModuleNotFoundError: No module named 'no_such_module'" in complaint


def test_a_plugin_of_a_name_that_is_taken(study):
    study(PLUGIN.replace("OwnWay", "FisherCG"), "own.py")
    [complaint] = complaints(study(GOOD + "plugins: [own.py]\n"))
    assert complaint == (
        "config.yaml:11: plugins: gradients: 'fisher_cg' in own.py has the name of another plugin, fisher_cg"
    )


def test_a_misspelt_plugin_makes_nothing_else_wrong(study):
    text = GOOD.replace("plugin: coordinate_ascent", "plugin: coordinate_ascend")
    [complaint] = complaints(study(text))
    assert complaint.startswith("config.yaml:6: inference.converged: no plugin 'coordinate_ascend'")


def test_names_that_are_one_file_where_capitals_do_not_count(study):
    text = GOOD.replace("references", "  Implicit: {plugin: fisher_cg, at: converged}\nreferences")
    assert complaints(study(text)) == [
        "config.yaml:10: gradients.Implicit: 'Implicit' and 'implicit' would be one file where capitals do not count"
    ]


def test_a_reference_named_twice_is_one(study):
    assert read_files([study(GOOD.replace("[implicit]", "[implicit, implicit]"))]).references == ["implicit"]


def test_truth_values_are_no_numbers(study):
    assert complaints(study(GOOD.replace("max_sweeps: 2000", "max_sweeps: true"))) == [
        "config.yaml:6: inference.converged: max_sweeps: expected no truth value, found True"
    ]
