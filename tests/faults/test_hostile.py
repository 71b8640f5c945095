"""Names, titles and paths that a shell, a page or Snakemake would take for something to carry out."""

import re

import html5lib
import pytest
import studies
import yaml

from slds_core.study.configuration import read_configuration
from slds_core.study.errors import StudyError

NAMES = [
    "a;touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "two words",
    "../outside",
    "/outside",
    "..",
    "-rf",
    "a\nb",
    "{model}",
    "<b>bold</b>",
    "a'b",
    'a"b',
    "a&b",
    "",
]
SECTIONS = ["models", "inference", "gradients"]
TITLE = "<script>alert(1)</script> </title> $(touch pwned) `touch pwned`; touch pwned ' \" {x} & <!-- ]]>"
FILE = "m $(touch pwned) `touch pwned`;touch pwned'.nc"
FOLDER = "it's {y} $(touch pwned);touch pwned & <b>"


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_more_than_names_are_refused(section, name):
    content = yaml.safe_load(studies.SMALL.read_text())
    content[section][name] = next(iter(content[section].values()))
    with pytest.raises(StudyError, match="a name may hold up to 100 letters"):
        read_configuration(content)


@pytest.mark.parametrize("name", ["log", "benchmark", "figures", "Figures", "report.html"])
def test_a_model_takes_no_place_of_the_studys_own(name):
    content = yaml.safe_load(studies.SMALL.read_text())
    content["models"][name] = content["models"]["tiny"]
    with pytest.raises(StudyError, match=f"models.{name}: results/{name} is taken; expected a name other than"):
        read_configuration(content)


def test_a_file_that_snakemake_would_fill_in_is_refused(tmp_path):
    (tmp_path / "{model}.nc").write_bytes(b"")
    content = yaml.safe_load(studies.SMALL.read_text())
    content["models"] = {"tiny": {"plugin": "netcdf", "path": "{model}.nc"}}
    with pytest.raises(StudyError, match=r"\{model\}\.nc: Snakemake fills in braces; expected a path without"):
        read_configuration(content, folder=tmp_path)


@pytest.mark.slow
def test_titles_and_paths_are_text_to_every_program(reference, tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / FILE).write_bytes((reference / "results" / "tiny" / "model.nc").read_bytes())
    content = yaml.safe_load(studies.SMALL.read_text())
    content |= {"title": TITLE, "models": {"tiny": {"plugin": "netcdf", "path": FILE}}}
    (folder / "c;touch pwned.yaml").write_text(yaml.safe_dump(content))
    status, output = studies.run(folder, "--config", "c;touch pwned.yaml")
    assert status == 0, output
    assert not list(tmp_path.rglob("pwned"))
    page = (folder / "results" / "report.html").read_text()
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count("<script") == 1
    assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)&lt;/script&gt;", "", page)
