import sys

import pytest

import cortex_sim as cs
from cortex_sim import library
from cortex_sim.experiments import finding

OWN = """
import cortex_sim as cs


def experiment(seed=0, duration_ms=10):
    protocol = cs.Protocol(cs.Phase("show", duration_ms, drive={"retina": float(seed)}))
    return cs.Experiment(cs.model("digits_mlp"), {"only": protocol})


def longer(seed):
    return experiment(seed, 20)


def nothing(seed):
    return 3


def seedless():
    return experiment()


def fails(seed):
    raise TypeError("mine")
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of shipped protocols: an experiment, one of another kind, a broken one, a configuration."""
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "tower.yaml").write_text("model: gait_tower\n")
    (tmp_path / "b_shown.py").write_text(OWN)
    (tmp_path / "b_evolved.py").write_text('RUN_BY = "cortex-sim evolve b_evolved"\n')
    (tmp_path / "b_empty.py").write_text("")
    real = library.folder
    monkeypatch.setattr(library, "folder", lambda kind: tmp_path if kind == "protocols" else real(kind))
    yield
    for name in ("b_shown", "b_evolved", "b_empty"):
        sys.modules.pop(f"cortex_sim.protocols.{name}", None)


def shown(experiment):
    (phase,) = experiment.arms["only"].protocol.phases
    return phase.drive["retina"], phase.duration_ms


def test_a_file_of_ones_own(own):
    assert shown(finding.experiment(str(own), 3)) == (3.0, 10.0)
    assert shown(finding.experiment(f"{own}:longer", 3)) == (3.0, 20.0)


def test_a_yaml_file(own, tmp_path):
    path = tmp_path / "own.yaml"
    written = finding.experiment(str(own), 3)
    written.to_yaml(path)
    assert finding.experiment(str(path), 5) == written


def test_a_seed_draws_where_yaml_says_none(tmp_path):
    path = tmp_path / "drawn.yaml"
    phase = "{name: a, duration: 1 ms, drive: {retina: {data: digits, count: 9}}}"
    path.write_text(f"network: digits_mlp\narms: {{only: {{phases: [{phase}]}}}}\n")
    assert shown(finding.experiment(str(path), 5))[0] == cs.Stimuli("digits", count=9, seed=5)


def test_a_shipped_one_by_name(shipped):
    assert finding.names() == ["b_empty", "b_evolved", "b_shown"]
    assert shown(finding.experiment("b_shown", 3)) == (3.0, 10.0)


@pytest.mark.parametrize(
    "name, message",
    [
        ("b_evolved", "protocol b_evolved is run by: cortex-sim evolve b_evolved"),
        ("papers/tower", "is run by: cortex-sim train --config papers/tower --out DIR"),
        ("b_shwn", "unknown protocol 'b_shwn' (did you mean 'b_shown'?); known: b_empty"),
        ("b_empty", "its file has no function experiment(seed)"),
        ("papers/towr", "unknown protocol 'papers/towr'"),
        ("../b_shown", "unknown protocol '../b_shown'"),
        ("", "protocol: give a name, a .py or a .yaml file. Got ''"),
        (3, "protocol: give a name"),
        ("/none/such.py", "protocol /none/such.py:experiment: no file /none/such.py"),
        ("/none/such.yaml", "/none/such.yaml: cannot be read"),
    ],
)
def test_what_is_no_experiment_is_refused(shipped, name, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        finding.experiment(name)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    "function, message",
    [
        ("nothing", "its function must return a cs.Experiment. Got int"),
        ("absent", "own.py has no function 'absent'"),
        ("fails", "TypeError: mine (own.py, line 23)"),
        ("seedless", "seedless() got an unexpected keyword argument 'seed'"),
    ],
)
def test_a_function_that_makes_no_experiment(own, function, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        finding.experiment(f"{own}:{function}")
    assert message in str(refusal.value)


@pytest.mark.parametrize("name", [n for n in library.names("protocols") if "/" in n])
def test_every_shipped_configuration_names_its_command(name):
    with pytest.raises(cs.DeclarationError, match=f"cortex-sim train --config {name} --out DIR"):
        finding.experiment(name)
    assert library.configuration(name).is_file()  # what train --config finds


def test_a_training_run_s_settings_of_ones_own(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: gait_tower\noptimiser: {name: Adam}\n")
    with pytest.raises(cs.DeclarationError, match="is run by: cortex-sim train --config"):
        finding.experiment(str(path))


def test_names_are_not_looked_for_in_the_working_directory(own, monkeypatch):
    monkeypatch.chdir(own.parent)
    with pytest.raises(cs.DeclarationError, match="unknown protocol 'own'"):
        finding.experiment("own")
