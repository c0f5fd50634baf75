"""Comparisons over time, long recordings, responses to a run's own data, damaged outer loops."""

import json

import numpy as np
import pytest

from cortex_sim.cli import main
from cortex_sim.html_report.comparison_sections import comparisons
from cortex_sim.html_report.outer_sections import outer_loops
from cortex_sim.html_report.reading import found
from cortex_sim.html_report.recording_sections import MANY, recordings
from cortex_sim.html_report.responses import responses

from .conftest import write_comparison, write_outer_loop, write_recording


def test_a_comparison_over_time_has_a_curve_and_times_in_its_table(tmp_path):
    folder = write_comparison(tmp_path / "v4")
    content = json.loads((folder / "report.json").read_text("utf-8"))
    bins = [{"time_bin_start": 10.0 * i, "time_bin_end": 10.0 * (i + 1)} for i in range(3)]
    content["scores"] = [{**row, **one} for row in content["scores"] for one in bins]
    (folder / "report.json").write_text(json.dumps(content), encoding="utf-8")
    section = comparisons(found([(None, str(folder))]).comparisons)
    assert [shown.caption for shown in section.pictures] == ["rsa score over time, V4"]
    scores = section.tables[0]
    assert scores.columns[4] == "time (ms)" and len(scores.rows) == 6
    assert [row.cells[3].text for row in scores.rows[:3]] == ["0 to 10", "10 to 20", "20 to 30"]


@pytest.mark.parametrize("presentations, image", [(MANY, False), (MANY + 1, True)])
def test_a_long_recording_is_drawn_as_an_image(tmp_path, presentations, image):
    place = write_recording(tmp_path / "long.nc", presentations)
    (shown,) = recordings(found([("long", str(place))]).recordings).pictures
    assert ("<image" in shown.svg) == image
    assert 'href="data:image/png;base64,' in shown.svg or not image


def test_an_outer_loop_without_a_line_or_with_strange_metrics_says_so(tmp_path):
    folder = write_outer_loop(tmp_path / "outer")
    (folder / "metrics.json").write_text('{"iterations": 30}', encoding="utf-8")
    (folder / "metrics.jsonl").write_text("", encoding="utf-8")
    said = outer_loops(found([(None, str(folder))]).outer_loops).sentences
    assert said[0] == "No outer update has been written yet."
    assert said[1].startswith("outer: its outcome cannot be shown")


@pytest.mark.slow
def test_responses_are_those_of_the_network_to_its_test_part(tmp_path, capsys):
    import cortex_sim as cs
    from cortex_sim.responding import respond_to

    run = tmp_path / "run"
    assert main(["train", "digits_mlp", "--rule", "gait_prop", "--epochs", "1", "--out", str(run)]) == 0
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    section = responses(found([("GAIT", str(run))]).runs, 30)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    rates = respond_to(run, cs.data.load("digits").part("test")[:30], populations=["V1"]).rate.values
    (table,) = section.tables
    assert table.title == "Rates of GAIT to 30 stimuli of the test part"
    row = {row.head: [cell.value for cell in row.cells] for row in table.rows}["V1"]
    assert row == [64, *map(pytest.approx, (rates.mean(), rates.std(0).mean())), (rates == 0).all(0).sum()]
    assert [shown.caption for shown in section.pictures] == ["GAIT, retina", "GAIT, V1", "GAIT, IT"]
    held = tmp_path / "held"
    assert main(["train", "digits_mlp", "--epochs", "1", "--set", "hold_out=20", "--out", str(held)]) == 0
    (table,) = responses(found([("held", str(held))]).runs, 30).tables
    assert table.title == "Rates of held to 20 stimuli of the validation part"
    assert np.isfinite([cell.value for row in table.rows for cell in row.cells]).all()
