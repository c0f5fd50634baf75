"""A trained credit network as a file, and where one comes from."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.credit import (
    DenseCredit,
    LayeredCredit,
    Line,
    SharedCredit,
    TrainedCredit,
    load_credit,
    untrained,
)
from cortex_sim.credit.shipped import credit_network, shipped
from cortex_sim.credit.step import step_of
from cortex_sim.errors import DeclarationError, RunError

NETWORKS = [
    DenseCredit(3, (4, 5), 6, "raw", (Line(0.3), "modulo"), signs=True, levels=2, gated=False),
    SharedCredit(4, 5, "raw", "sheet"),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: type(n).__name__)
def test_a_file_keeps_everything(tmp_path, network):
    trained = TrainedCredit(network, network.draw(3), {"steps": 7})
    trained.save(tmp_path / "credit.safetensors")
    again = load_credit(tmp_path / "credit.safetensors")
    assert again.network == network and again.about == {"steps": 7}
    assert list(again.parameters) and set(again.parameters) == set(network.shapes())
    for name, values in trained.parameters.items():
        assert again.parameters[name].dtype == np.float64
        np.testing.assert_array_equal(again.parameters[name], values)
    assert [p.name for p in tmp_path.iterdir()] == ["credit.safetensors"]


def test_parameters_of_another_form_are_refused():
    with pytest.raises(DeclarationError, match="parameters do not fit its form"):
        TrainedCredit(DenseCredit(3), DenseCredit(4).draw(0), {})


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(tmp_path, wrong):
    for network in (DenseCredit(3), LayeredCredit(decorrelated=True)):
        for name, p in network.draw(0).items():
            spoiled = np.array(p)
            spoiled.flat[0] = wrong
            with pytest.raises(DeclarationError, match=f"parameter {name} contains NaN or infinity"):
                TrainedCredit(network, {**network.draw(0), name: spoiled}, {})


@pytest.mark.parametrize("about", [None, [], "text"])
def test_provenance_of_another_kind_is_refused(about):
    with pytest.raises(DeclarationError, match="about must be a mapping"):
        TrainedCredit(DenseCredit(3), DenseCredit(3).draw(0), about)


@pytest.mark.parametrize(
    "about", [{"settings": [1], "step": {}}, {"settings": {"step": 3, "model_settings": 4}}, {"step": "Adam"}]
)
def test_provenance_in_words_of_ones_own_names_no_step(about):
    network = LayeredCredit()
    assert step_of(TrainedCredit(network, network.draw(0), about)) is None
    net = cs.model("tdca_mlp", inputs=5, hidden=[4], classes=3)
    assert net.with_rule("tdca", credit=TrainedCredit(network, network.draw(0), about)).step is None


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(RunError, match="no such file; cortex-sim evolve writes such files"):
        load_credit(tmp_path / "none.safetensors")
    (tmp_path / "half.safetensors").write_bytes(b"\x08\x00")
    with pytest.raises(RunError, match="half.safetensors: the file is damaged"):
        load_credit(tmp_path / "half.safetensors")


def test_weights_of_something_else_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(RunError, match="not a credit network; give a file that evolve wrote"):
        load_credit(tmp_path / "other.safetensors")


def test_a_user_may_give_an_object_a_file_or_nothing(tmp_path):
    trained = untrained(DenseCredit(3))
    trained.save(tmp_path / "credit.safetensors")
    assert credit_network(trained, 3) is trained
    assert credit_network(tmp_path / "credit.safetensors", 3).network == trained.network
    assert credit_network(str(tmp_path / "credit.safetensors"), 3).network == trained.network
    assert credit_network(None, 3).network.outputs in (None, 3)
    for name in shipped():
        assert credit_network(name, 3).parameters


@pytest.mark.parametrize("given", ["no such file", 3])
def test_anything_else_is_refused(given):
    with pytest.raises(DeclarationError, match="no such file|give a TrainedCredit"):
        credit_network(given, 3)
