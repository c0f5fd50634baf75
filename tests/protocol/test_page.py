"""docs/protocols.md: its YAML is an experiment, and its tables name every setting with its default."""

import dataclasses
import re
from pathlib import Path

import pytest

import cortex_sim as cs

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocols.md").read_text("utf-8")


def test_the_yaml_is_an_experiment():
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    experiment = cs.Experiment.from_yaml(text, seed=2)
    assert list(experiment.arms) == ["intact", "cut", "backprop"]
    assert experiment.arms["cut"].protocol.lesion == ("IT->V1",)
    assert experiment.arms["intact"].protocol.phases[1].duration_ms == 400.0


@pytest.mark.parametrize("cls", [cs.Phase, cs.Protocol])
def test_every_setting_has_a_row(cls):
    section = PAGE.partition(f"## {cls.__name__}\n")[2].partition("\n## ")[0]
    rows = " ".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    optional = {f.name for f in dataclasses.fields(cls)} - {"name", "duration_ms", "phases"}
    assert set(re.findall(r"`(\w+)`", rows)) == optional
