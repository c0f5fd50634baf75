"""Trial tables from CSV, from a data frame and from lists."""

import numpy as np
import pytest

import cortex_sim as cs

CSV = "trial,pause_ms,silent,image,reward\n0,100,V1/3 V1/4,2,1.5\n1,250,,0,-1\n"


def test_a_file_a_frame_and_lists_are_the_same_table(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "trials.csv"
    path.write_text(CSV, encoding="utf-8")
    frame = pandas.read_csv(path, keep_default_na=False)
    lists = {name: list(frame[name]) for name in frame}
    for table in (cs.TrialTable(path), cs.TrialTable(frame), cs.TrialTable(lists), cs.TrialTable(str(path))):
        assert list(table) == ["trial", "pause_ms", "silent", "image", "reward"] and table.trials == 2
        phase = cs.Phase("p", 10, silence=table["silent"], modulator=table["reward"])
        assert phase == cs.Phase("p", 10, silence=cs.PerTrial([["V1/3", "V1/4"], []]), modulator=[1.5, -1])
        assert cs.Protocol(phase, interval_ms=table["pause_ms"]).interval_ms == cs.PerTrial((100.0, 250.0))
        np.testing.assert_array_equal(np.arange(30).reshape(3, 10)[table.array("image")][:, 0], [20, 0])


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must give every column a name|is empty"),
        ("a,b\n", "trial table: it is empty"),
        ("a,a\n1,2\n", "every column a different name. Got 'a'"),
        ("a,b\n1\n", "line 2 has 1 cells, the first has 2"),
        ("a\n1\nx\n", "column a has numbers, but 'x' in trial 1; give a number there"),
        ("a,b\n1,2\n,3\n", "column a has numbers, but '' in trial 1"),
        ("a\nnan\n", "column a holds nan in trial 0; give a finite number"),
    ],
)
def test_broken_files_say_where(tmp_path, text, message):
    path = tmp_path / "trials.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(cs.DataError, match=message):
        cs.TrialTable(path)


def test_wrong_sources_and_columns(tmp_path):
    with pytest.raises(
        cs.DataError, match=r"unknown column of the trial table 'paus' \(did you mean 'pause'\?\)"
    ):
        cs.TrialTable({"pause": [1]})["paus"]
    with pytest.raises(cs.DataError, match="cannot be read as text"):
        cs.TrialTable(tmp_path / "missing.csv")
    with pytest.raises(cs.DataError, match="all columns must have one entry for each trial. Got a 1, b 2"):
        cs.TrialTable({"a": [1], "b": [1, 2]})
    with pytest.raises(cs.DataError, match="trial table: give a path"):
        cs.TrialTable(3)
