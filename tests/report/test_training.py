"""The section on training: a row for each estimator and trained model, none where nothing was trained."""

import pytest

from slds_core.report.render import write_report
from slds_core.study.stages.build_model import build_model
from slds_core.study.stages.compare import compare
from slds_core.study.stages.gradient import gradient
from slds_core.study.stages.infer import infer
from slds_core.study.stages.residual import residual

LEARNT = {"data": {"plugin": "synthetic_slds", "lengths": [12], "channels": 3}, "states": 2, "held_out": 0.2}
NEWTON = {"plugin": "newton_cg", "parameters": {}}
OBJECTIVE = {"plugin": "linear", "parameters": {}}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    results = tmp_path_factory.mktemp("study") / "results"
    for epochs in (0, 2):
        place = results / f"learnt_{epochs}"
        settings = {"plugin": "svae", "parameters": LEARNT | {"epochs": epochs}}
        build_model(place.name, settings, "float64", place / "model.nc")
        infer(place / "model.nc", "newton", NEWTON, place / "inference" / "newton.nc")
        residual(place / "model.nc", place / "inference" / "newton.nc", "newton", place / "residual" / "newton.nc")
        for name in ("fisher_cg", "one_step"):
            chosen = {"plugin": name, "parameters": {}}
            inferred = place / "inference" / "newton.nc"
            gradient(place / "model.nc", inferred, name, chosen, OBJECTIVE, place / "gradient" / f"{name}.nc")
        files = [place / "gradient" / f"{name}.nc" for name in ("fisher_cg", "one_step")]
        compare(files, ["fisher_cg"], place / "comparison.nc")
    write_report([results], results / "report.html", "", None)
    return (results / "report.html").read_text()


@pytest.mark.slow
def test_a_row_for_each_epoch_and_estimator(page):
    assert "Audit along training" in page
    section = page.partition("Trained models by epoch")[2].partition("</table>")[0]
    body = section.partition("<tbody>")[2]
    assert body.count("<tr") == 4
    assert section.index("learnt_0") < section.index("learnt_2")
    assert "interpolation" in section
    # what tells the rows of a model apart is beside its name
    assert section.index(">model<") < section.index(">audited<") < section.index(">epochs<")
