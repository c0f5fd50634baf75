"""Configurations of evolve: what they build on, what is refused, and what is said about it."""

import pytest

from cortex_sim import library
from cortex_sim.errors import CortexSimError, DeclarationError, RunError
from cortex_sim.tdca.evolving.reading import configured, from_file
from cortex_sim.tdca.evolving.settings import OuterSettings

SHIPPED = sorted(
    path.stem
    for path in (library.folder("protocols") / "tdca").glob("*.yaml")
    if isinstance(configured(path.stem), OuterSettings)  # other kinds have tests of their own
)


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return f"{name}.yaml"

    return write


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_configuration_makes_its_parts(name):
    settings = configured(name)
    body = settings.body()
    assert settings.inner_rule().fixed is not None
    assert settings.search().serves in ("unrolls", "fitness")
    assert settings.inner_step().draw() and settings.inner_span().window > 0
    for other in settings.tests().widths.values():
        assert settings.body(**other).outputs == body.outputs
    assert {"name"} < settings.described()["searcher"].keys()


def test_a_file_takes_what_it_does_not_set_from_its_base(written):
    written("low", "seed: 3\nspan: {window: 5, longest: 50}\nmodel_settings: {inputs: 64}\n")
    name = written("high", "base: ./low.yaml\nspan: {longest: 70}\niterations: 7\n")
    settings = configured(name)
    assert (settings.seed, settings.iterations) == (3, 7)
    assert settings.span == {"window": 5, "longest": 70}
    assert settings.model_settings == {"inputs": 64}


def test_another_rule_or_searcher_replaces_the_old_ones_settings(written):
    name = written("other", "base: tdca_mnist\nrule: {name: backprop}\nsearcher: {name: nres, sigma: 0.1}\n")
    settings = configured(name)
    assert settings.rule == {"name": "backprop"}
    assert settings.searcher == {"name": "nres", "sigma": 0.1}
    name = written("same", "base: tdca_mnist\nrule: {name: tdca, credit_network: {channels: 4}}\n")
    rule = configured(name).inner_rule()
    assert rule.credit_network.channels == (4,)
    assert configured("tdca_mnist_raw").inner_rule().credit_network.context != rule.credit_network.context
    assert configured("tdca_mnist_raw").inner_rule().credit_network.channels == (16,)


def test_what_a_run_writes_is_read_back(written):
    import yaml

    settings = configured("tdca_mnist_nres")
    name = written("run", yaml.safe_dump(settings.as_dict() | {"environment": {"threads": 1}}))
    from pathlib import Path

    assert from_file(Path(name)) == settings


@pytest.mark.parametrize(
    "text, said",
    [
        ("iteration: 3\n", "unknown setting of bad.yaml 'iteration' (did you mean 'iterations'?)"),
        ("span: {windows: 3}\n", "unknown setting of span 'windows' (did you mean 'window'?)"),
        ("testing: {step: [3]}\n", "unknown setting of testing 'step' (did you mean 'steps'?)"),
        ("base: tdca_minst\n", "unknown configuration of evolve 'tdca_minst' (did you mean 'tdca_mnist'?)"),
        ("rule: tdca\n", "setting rule must be a mapping, name: value. Got 'tdca'"),
        ("lives: 0\n", "evolve: lives must be a whole number of at least 1. Got 0"),
        ("seed: -1\n", "seed must be a whole number of at least 0"),
        ("frozen: 1\n", "frozen must be True or False"),
        ("model: a/b\n", "setting model must be the name of a shipped model. Got 'a/b'"),
        ("- 3\n", "expected settings, name: value"),
        ("testing: {steps: 5}\n", "setting steps of testing must be a list. Got 5"),
        ("testing: {steps: [0]}\n", "steps must be a whole number of at least 1. Got 0"),
        ("testing: {data: []}\n", "data or steps is empty"),
        ("testing: {widths: [3]}\n", "widths of testing must map names to settings"),
        ("span: {window: 0}\n", "window must be a whole number of at least 1. Got 0"),
    ],
)
def test_what_is_wrong_is_named(written, text, said):
    with pytest.raises(CortexSimError) as raised:
        configured(written("bad", text))
    assert said in str(raised.value)


def test_a_missing_file_is_named(written):
    with pytest.raises(CortexSimError, match=r"nowhere\.yaml"):
        configured("nowhere.yaml")
    with pytest.raises(RunError, match="known: .*tdca_digits"):
        configured("nowhere")


def test_unknown_parts_list_the_known_ones():
    with pytest.raises(DeclarationError, match="known: altered, backprop"):
        OuterSettings(rule={"name": "nonsense"}).inner_rule()
    with pytest.raises(DeclarationError, match="known: cma_es, meta_gradient, nres, pgpe, snes"):
        OuterSettings(searcher={"name": "nonsense"}).search()
    with pytest.raises(DeclarationError, match="known: adam, mixed, plain"):
        OuterSettings(step={"name": "nonsense"}).inner_step()
