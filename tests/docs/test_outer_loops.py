"""docs/outer-loops.md: its tables name every setting, its YAML is a configuration, its claims hold."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest
import yaml

from cortex_sim import registry
from cortex_sim.tdca.evolving.reading import configured
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.evolving.settings import Testing as Final
from cortex_sim.tdca.inner.altered import Altered
from cortex_sim.tdca.inner.inner_runs import Span

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "outer-loops.md").read_text("utf-8")


def rows(heading):
    """First cells of the table under a heading row."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| `")]


def named(cell):
    return re.findall(r"`(\w+)`", cell)


@pytest.mark.parametrize(
    "heading, cls",
    [("setting", OuterSettings), ("setting of `span`", Span), ("setting of `testing`", Final)],
)
def test_every_setting_has_a_row_with_its_default(heading, cls):
    found = {name: cells for cells in rows(heading) for name in named(cells[0])}
    assert found.keys() == {f.name for f in dataclasses.fields(cls)}
    for f in dataclasses.fields(cls):
        if isinstance(f.default, bool):
            assert found[f.name][1].strip() == str(f.default).lower()
        elif isinstance(f.default, (int, float)):
            assert f"{f.default:g}" in found[f.name][1].split(",")[f.name == "longest"]


def test_every_searcher_is_said_to_backpropagate_or_not():
    said = {name: cells[2] for cells in rows("searcher") for name in named(cells[0])}
    assert said.keys() == set(registry.names("searcher"))
    for name, words in said.items():
        assert ("yes" in words) == registry.find("searcher", name).backpropagates


def test_every_rule_step_and_control_is_named():
    found = {name: cells for cells in rows("setting") for name in named(cells[0])}
    assert set(named(found["rule"][2])) >= set(registry.names("inner_rule")) - {"altered"}
    assert set(named(found["step"][2])) == set(registry.names("step"))
    tested = {name: cells for cells in rows("setting of `testing`") for name in named(cells[0])}
    for how in named(tested["controls"][2]):
        assert Altered(how=how).how == how


def test_its_yaml_is_a_configuration(tmp_path):
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    settings = configured(str(tmp_path / "own.yaml"))
    assert yaml.safe_load(text)["rule"] == settings.rule
    assert settings.search().sigma == 0.02 and settings.inner_rule().credit_network.channels == 8


def test_the_table_of_workers_is_what_was_measured(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    study = importlib.import_module("workers")
    assert "| `nres` | " in study.table()
    assert study.page(PAGE) == PAGE, "run: python -P benchmarks/workers.py page"
