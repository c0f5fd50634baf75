"""What people get wrong first is refused before work starts: object, wrong value, right one, way out."""

import collections

import mistaken_parameters
import mistakes_in_files
import mistakes_in_networks
import mistakes_in_protocols
import mistakes_in_runs
import mistakes_in_windows
import pytest
from mistakes import KINDS, refusal

SOURCES = {
    "parameters": mistaken_parameters,
    "networks": mistakes_in_networks,
    "protocols": mistakes_in_protocols,
    "windows": mistakes_in_windows,
    "runs": mistakes_in_runs,
    "files": mistakes_in_files,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All mistakes by the module that they come from."""
    folder = tmp_path_factory.mktemp("files")
    return {name: list(module.cases(folder)) for name, module in SOURCES.items()}


@pytest.mark.parametrize("source", SOURCES)
def test_every_mistake_is_refused_with_the_way_out(made, source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    wrong = []
    for mistake in made[source]:
        try:
            refusal(mistake)
        except AssertionError as failed:
            wrong.append(f"[{mistake.kind}] {mistake.called}: {failed}")
    assert not wrong, "\n".join(wrong)
    assert not list(tmp_path.rglob("*.parts"))  # nothing was begun


def test_each_kind_has_five_of_its_own(made):
    all_of_them = [mistake for mistakes in made.values() for mistake in mistakes]
    counted = collections.Counter(mistake.kind for mistake in all_of_them)
    assert set(counted) == set(KINDS) and min(counted.values()) >= 5, counted
    assert len({(m.kind, m.called, name) for name, them in made.items() for m in them}) == len(all_of_them)
