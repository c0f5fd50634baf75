import numpy as np
import pytest

import cortex_sim as cs


def test_a_network_reads_as_it_was_declared(residual):
    assert list(residual.populations) == ["retina", "V1", "V2", "V4", "IT"]
    assert [p.name for p in residual.bottom_ups] == [
        "retina->V1", "V1->V2", "V2->V4", "V1->V4", "V4->IT",
    ]  # fmt: skip
    assert residual.stimulated == ["retina"]
    assert [p.name for p in residual.inputs("V4")] == ["V2->V4", "V1->V4"]
    assert residual.top_downs == residual.credit_inputs("V4") == []
    assert (residual.objective_at, residual.objective_function) == ("IT", cs.SquaredError())
    assert residual.projection("V1->V2").regularisers == (cs.HardOrthogonality(),)


def test_a_population_is_placed_by_itself_or_by_name():
    net = cs.Network("two")
    retina, it = net.population("retina", 4), net.population("IT", 2)
    up = net.bottom_up(retina, "IT", "dense", plasticity="backprop")
    down = net.top_down("IT", retina, feedback=cs.Transpose(of=up))
    assert (up.pre, up.post, up.reverse_name) == ("retina", "IT", "IT->retina")
    assert (down.name, down.feedback.of, down.is_top_down) == ("IT->retina", "retina->IT", True)
    net.objective(it, "squared_error")
    assert net.objective_at == "IT"


@pytest.mark.parametrize(
    "shape, size, bias_shape", [((5,), 5, (5,)), ((3, 4, 5), 60, (3,))], ids=["units", "channels"]
)
def test_a_bias_per_unit_or_per_channel(shape, size, bias_shape):
    population = cs.Network("one").population("V1", shape=shape)
    assert (population.size, population.bias_shape) == (size, bias_shape)


def test_sizes_from_numpy_are_whole_numbers_too():
    population = cs.Network("one").population("V1", shape=np.array([3, 4, 5]))
    assert population.shape == (3, 4, 5) and all(type(n) is int for n in population.shape)


def test_top_down_weights_are_post_by_pre_of_their_own_direction(chain):
    chain.top_down("V2", "V1", feedback=cs.Random())
    assert chain.initial_weights(0)["V2->V1"].shape == (11, 7)


def test_beside_a_convolution_they_have_its_kernel_s_shape(residual):
    residual.top_down("V2", "V1", feedback=cs.Random())
    assert residual.initial_weights(0)["V2->V1"].shape == (3, 3, 3, 3)


def test_random_feedback_is_scaled_by_the_units_that_send():
    net = cs.Network("wide")
    net.population("retina", 300)
    net.population("IT", 100)
    net.bottom_up("retina", "IT")
    net.top_down("IT", "retina", feedback=cs.Random(scale=3.0))
    b = net.initial_weights(0)["IT->retina"]
    np.testing.assert_allclose(b.std(), 3.0 / np.sqrt(100), rtol=0.02)


def test_tied_and_identity_projections_have_no_weights_of_their_own(residual):
    net = residual.with_rule("gait_prop")
    net.top_down("V4", "V1", feedback=cs.Transpose(of="V1->V4"))
    assert {"V4->V2", "V4->V1", "V1->V4"} <= set(net.projections)
    assert set(net.initial_weights(0)) == {"retina->V1", "V1->V2", "V2->V4", "V4->IT"}


def test_initial_weights_repeat_with_their_seed(chain):
    first, again, other = (chain.initial_weights(seed) for seed in (3, 3, 4))
    for name, w in first.items():
        assert w.dtype == np.float64
        np.testing.assert_array_equal(w, again[name])
        assert not np.array_equal(w, other[name])


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, True])
def test_a_seed_is_a_whole_number(chain, seed):
    with pytest.raises(cs.DeclarationError, match="network chain: seed must be a whole number"):
        chain.initial_weights(seed)


def test_a_copy_goes_its_own_way(chain):
    other = chain.copy()
    assert other == chain and other is not chain
    other.population("V4", 5)
    assert other != chain and "V4" not in chain.populations


def test_networks_are_equal_where_their_declarations_are(graph):
    assert graph.with_rule("backprop") == graph.with_rule("backprop")
    assert graph.with_rule("backprop") != graph.with_rule("feedback_alignment")
    assert graph != graph.name


def test_a_deep_residual_network_is_checked_quickly():
    """Sixty blocks have 2**60 paths: whoever counts paths does not come back."""
    net = cs.Network("deep")
    below = net.population("retina", 2)
    net.population("IT", 2)
    for i in range(60):
        middle, above = net.population(f"m{i}", 2), net.population(f"V{i}", 2)
        net.bottom_up(below, middle, plasticity="gait_prop")
        net.bottom_up(middle, above, plasticity="gait_prop")
        net.bottom_up(below, above, "identity")
        below = above
    net.bottom_up(below, "IT", plasticity="gait_prop")
    net.objective("IT", "squared_error")
    assert len(net.with_rule("gait_prop").top_downs) == 179  # all but the two onto the retina
    with pytest.raises(cs.DeclarationError, match="closes the cycle IT -> retina -> "):
        net.bottom_up("IT", "retina")
