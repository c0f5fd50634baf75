"""What a protocol's main leaves behind."""

import cortex_sim as cs
from cortex_sim.viz.keeping import table
from cortex_sim.viz.panels import new_figure


def test_files_and_numbers(tmp_path, capsys):
    net = cs.Network("one")
    net.bottom_up(net.population("retina", 2), net.population("V1", 1))
    shown = cs.Protocol(cs.Phase("show", 5, drive={"retina": 0.5}))
    recording = cs.brian2.run(cs.Experiment(net, {"shown": shown}))
    numbers = {"shown": {"rate": 0.5}}
    cs.viz.keep("one", recording, new_figure(2, 2), numbers, folder=tmp_path / "runs")
    assert cs.recording.load(tmp_path / "runs" / "one.nc").identical(recording)
    assert (tmp_path / "runs" / "one.png").read_bytes()[1:4] == b"PNG"
    assert table(numbers) in capsys.readouterr().out


def test_rows_and_columns():
    numbers = {"a": {"x": 1 / 3, "y": 2.0}, "b": {"y": 1e9, "x": 0.0}}
    assert table(numbers).splitlines()[2:] == ["| a | 0.3333 | 2 |", "| b | 0 | 1e+09 |"]
