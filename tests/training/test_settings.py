"""Settings: where they come from, which wins, and what they make of a network."""

from dataclasses import asdict

import pytest
import yaml

import cortex_sim as cs
from cortex_sim.cli import main
from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.library import configuration
from cortex_sim.training.settings import (
    Settings,
    defaults,
    from_assignments,
    from_file,
    merged,
    network,
    resolve,
)


def test_defaults_come_first_then_file_then_assignments_then_options(tmp_path):
    given = tmp_path / "given.yaml"
    given.write_text("epochs: 2\nseed: 2\nbatch_size: 2\n", encoding="utf-8")
    assert resolve("digits_mlp").batch_size == Settings(**defaults("digits_mlp", None)).batch_size
    found = resolve(
        "digits_mlp", config=given, assignments=["seed=3", "batch_size=3"], flags={"batch_size": 4}
    )
    assert (found.epochs, found.seed, found.batch_size) == (2, 3, 4)


def test_option_that_is_not_given_does_not_count():
    assert resolve("digits_mlp", assignments=["seed=3"], flags={"seed": None}).seed == 3


def test_defaults_of_a_model_depend_on_the_rule():
    assert resolve("gait_tower", flags={"rule": "gait_prop"}).regulariser
    declared = resolve("gait_tower")  # declared with GaitProp
    assert declared.regulariser == resolve("gait_tower", flags={"rule": "gait_prop"}).regulariser
    other = resolve("gait_tower", flags={"rule": "feedback_alignment"})
    assert other.feedback != declared.feedback


def test_shipped_defaults_are_settings_of_their_models():
    from cortex_sim import library

    for path in sorted((library.folder("protocols") / "defaults").glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert set(content) <= {"all", "rules"}
        for rule in content.get("rules") or {}:
            network(resolve(path.stem, flags={"rule": rule})).check()


def test_configuration_that_is_whole_stands_on_its_own(tmp_path):
    """run.yaml repeats a run even where the shipped defaults have changed since."""
    given = tmp_path / "run.yaml"
    whole = Settings(model="gait_tower", rule="gait_prop", epochs=3)
    content = whole.as_dict() | {"environment": {"torch": "1"}}
    given.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert resolve(None, config=given) == whole


def test_nested_settings_merge_unless_they_name_another():
    base = {"optimiser": {"name": "Adam", "lr": 1e-3, "eps": 1e-8}}
    assert merged(base, {"optimiser": {"lr": 0.1}})["optimiser"] == {
        "name": "Adam",
        "lr": 0.1,
        "eps": 1e-8,
    }
    other = merged(base, {"optimiser": {"name": "SGD", "lr": 0.1}})
    assert other["optimiser"] == {"name": "SGD", "lr": 0.1}
    assert base["optimiser"]["lr"] == 1e-3


@pytest.mark.parametrize(
    "word, value",
    [
        ("epochs=3", {"epochs": 3}),
        ("optimiser.lr=1e-3", {"optimiser": {"lr": 0.001}}),
        ("optimiser.betas=[0.9, 0.99]", {"optimiser": {"betas": [0.9, 0.99]}}),
        ("schedule=null", {"schedule": None}),
        ("standardise=false", {"standardise": False}),
        ("data=a=b.npz", {"data": "a=b.npz"}),
        (
            "regulariser=[{name: decay, rate: 1e-4}]",
            {"regulariser": [{"name": "decay", "rate": 0.0001}]},
        ),
    ],
)
def test_assignments_read_values_as_yaml_does(word, value):
    assert from_assignments([word]) == value


def test_assignments_of_one_setting_gather():
    found = from_assignments(["optimiser.name=SGD", "optimiser.lr=0.1", "optimiser.momentum=0.9"])
    assert found == {"optimiser": {"name": "SGD", "lr": 0.1, "momentum": 0.9}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 1.0},
        {"epochs": True},
        {"batch_size": 0},
        {"seed": -1},
        {"hold_out": -1},
        {"threads": 0},
        {"checkpoint_every": -1},
        {"model": 3},
        {"data": None},
        {"rule": ["backprop"]},
        {"standardise": 1},
        {"optimiser": "Adam"},
        {"optimiser": {"lr": 0.1}},
        {"schedule": {"name": None}},
        {"regulariser": {"name": "decay"}},
        {"rule_settings": None},
        {"settling": "unrolled"},
        {"settling": {"steps": 20}},
    ],
    ids=str,
)
def test_settings_of_the_wrong_kind(wrong):
    (name,) = wrong
    with pytest.raises(RunError, match=f"setting {name} "):
        Settings(**wrong)


@pytest.mark.parametrize("word", ["epochs", "=3", "", "optimiser=[", "nope=3"])
def test_assignments_that_are_none(word):
    with pytest.raises(RunError, match="--set"):
        from_assignments([word])


def test_file_may_carry_the_record_of_the_machine(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("epochs: 3\nenvironment: {torch: 9}\n", encoding="utf-8")
    assert from_file(path) == {"epochs": 3}


def test_precision_is_text_whatever_yaml_makes_of_it():
    assert Settings(precision=64).precision == "64"
    assert asdict(resolve("digits_mlp", assignments=["precision=64"]))["precision"] == "64"


# -- the network that settings make -----------------------------------------------------------------


def test_regularisers_replace_the_declared_where_credit_passes():
    settings = Settings(model="gait_tower", regulariser=["hard_orthogonality"])
    net = network(settings)
    assert net.projections["retina->V1"].regularisers == ()
    for name in ("V1->V2", "V2->V4", "V4->IT"):
        assert net.projections[name].regularisers == (cs.HardOrthogonality(),)


def test_objective_is_replaced_where_it_stands():
    net = network(Settings(objective={"name": "squared_error"}))
    assert net.objective_at == "IT"
    assert isinstance(net.objective_function, cs.SquaredError)


def test_settings_of_the_declared_rule_need_no_word():
    net = network(Settings(feedback={"damping": 0.5}))
    assert net.projections["IT->V1"].feedback.damping == 0.5
    assert net.projections["V1->IT"].plasticity == cs.GaitProp()


def test_settings_reach_rule_feedback_and_model():
    settings = Settings(
        rule="gait_prop",
        model_settings={"hidden": 11},
        rule_settings={"gamma": 0.5},
        feedback={"refresh": 7},
    )
    net = network(settings)
    assert net.populations["V1"].size == 11
    assert net.projections["V1->IT"].plasticity.gamma == 0.5
    assert net.projections["IT->V1"].feedback.refresh == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": "nope"},
        {"rule_settings": {"nope": 1}},
        {"feedback": {"nope": 1}},
        {"regulariser": ["nope"]},
        {"objective": {"name": "nope"}},
        {"model": "nope"},
    ],
    ids=str,
)
def test_unknown_names_list_the_known(wrong):
    with pytest.raises(CortexSimError, match="'nope'.*known: "):
        network(Settings(**wrong))


def test_a_configuration_without_a_model_is_refused_where_none_is_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half.yaml").write_text("epochs: 3\n")
    assert main(["train", "--config", "half.yaml", "--out", "new"]) == 2
    assert "give a model" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "text, said",
    [
        ("epochs: 3\nepochs: 4\n", "epochs is given twice"),
        ("optimiser:\n  name: Adam\n  lr: 0.1\n  lr: 0.2\n", "lr is given twice"),
        ("epochs: 5:00\n", "epochs must be a whole number. Got '5:00'"),
        ("standardise: on\n", "standardise must be true or false. Got 'on'"),
    ],
)
def test_a_configuration_says_one_thing_once(text, said, tmp_path):
    (tmp_path / "own.yaml").write_text(f"model: digits_mlp\n{text}", encoding="utf-8")
    with pytest.raises(cs.RunError, match=said):
        resolve(None, config=tmp_path / "own.yaml")


def test_numbers_are_those_of_the_text(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "model: digits_mlp\nepochs: 010\nrule_settings: {gain: 1e-3}\n", "utf-8"
    )
    found = resolve(None, config=tmp_path / "own.yaml")
    assert found.epochs == 10 and found.rule_settings == {"gain": 0.001}
    assert resolve("digits_mlp", assignments=["optimiser.name='1e-3'"]).optimiser["name"] == "1e-3"


def test_only_a_run_yaml_stands_on_its_own(tmp_path):
    """A configuration of one's own gets what ships for the model, whichever settings it gives."""
    own = tmp_path / "own.yaml"
    own.write_text("model: digits_mlp\nrule: gait_prop\nrule_settings: {}\n", encoding="utf-8")
    assert resolve(None, config=own) == resolve("digits_mlp", flags={"rule": "gait_prop"})
    run = tmp_path / "run.yaml"
    run.write_text("model: digits_mlp\nrule: gait_prop\nenvironment: {}\n", encoding="utf-8")
    assert resolve(None, config=run) == Settings(model="digits_mlp", rule="gait_prop")


@pytest.mark.parametrize("name", ["papers/gait_2020_tower", "papers/gait_2021_cifar_deep"])
def test_configurations_of_papers_keep_their_exact_inverse(name):
    """What ships for the model renews the inverse every few updates, and rescales it; the papers do not."""
    feedback = resolve(None, config=configuration(name)).feedback
    assert (feedback["refresh"], feedback["rescale"], feedback["tolerance"]) == (1, False, 0.0)
    assert feedback["damping"] == 0.0 and feedback["auxiliary"] is True
