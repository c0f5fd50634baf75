"""Inner runs as a configuration asks for them: taking turns, restricted to rates, and refused."""

import numpy as np
import pytest
import torch

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.tdca.evolving.problem import Restricted, TakingTurns, problem
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.inner.cohort import layout, start
from cortex_sim.tdca.outer.problem import whole

SMALL = {
    "model_settings": {"inputs": 5, "hidden": [7], "classes": 3},
    "rule": {"name": "tdca", "credit_network": {"name": "dense", "outputs": 3, "channels": 2, "hidden": 3}},
    "tasks": {"kind": "teacher", "widths": [5, 4, 3]},
    "span": {"shortest": 2, "longest": 8, "window": 2, "batch": 4, "validation": 6},
    "lives": 4,
}
ALSO = {"also": [{"hidden": [11]}, {"hidden": [5, 3], "activation": "tanh"}]}
READS = {"model_settings": {**SMALL["model_settings"], "reads": {"name": "decorrelated", "local": True}}}
SHARES = {"name": "decorrelated", "mixing": 0.6, "centring": 0.8, "every": 2}
TRAINED = {"model_settings": {**SMALL["model_settings"], "reads": SHARES}}
LAYERED = {**TRAINED, "rule": {"name": "layered", "credit_network": {"name": "layered", "mirror": 9}}}
BROADCAST = {
    **TRAINED,
    "rule": {"name": "broadcast", "credit_network": {"name": "broadcast", "outputs": 3, "channels": 4}},
}
NRES = {"searcher": {"name": "nres"}}
PGPE = {"searcher": {"name": "pgpe", "members": 4}}


def made(**settings):
    return OuterSettings(**{**SMALL, **settings})


@pytest.mark.parametrize(
    "more",
    [
        {},
        ALSO,
        {"frozen": True},
        {**ALSO, "frozen": True},
        NRES,
        READS,
        LAYERED,
        BROADCAST,
        {**LAYERED, **NRES},
    ],
)
def test_a_restored_problem_goes_on_bit_for_bit(more):
    settings = made(**more)
    (one, phi), (other, _) = problem(settings, None), problem(settings, None)
    assert one.parameters == len(phi) and one.count == 4
    with torch.no_grad():
        for _ in range(4):
            one.unroll(phi)
        saved = {k: v.clone() for k, v in one.state().items()}
        went_on = torch.stack([one.unroll(phi).loss for _ in range(7)])
        other.unroll(phi)
        other.restore(saved)
        assert torch.equal(other.due(), made_due(settings, saved))
        assert torch.equal(went_on, torch.stack([other.unroll(phi).loss for _ in range(7)]))
    assert set(saved) == set(other.state())


def made_due(settings, saved):
    fresh, _ = problem(settings, None)
    fresh.restore(saved)
    return fresh.due()


def test_networks_take_turns():
    given, phi = problem(made(**ALSO), None)
    assert isinstance(given, TakingTurns)
    assert [c.cohort.body.hidden for c in given.cohorts] == [[(7,)], [(11,)], [(5,), (3,)]]
    advanced = []
    with torch.no_grad():
        for _ in range(6):
            before = [c.cohort.taken for c in given.cohorts]
            given.unroll(phi)
            advanced.append([c.cohort.taken - b for c, b in zip(given.cohorts, before, strict=True)])
    assert advanced == [[2, 0, 0], [0, 2, 0], [0, 0, 2]] * 2


def test_frozen_searches_rates_and_schedule_alone():
    settings = made(frozen=True)
    given, centre = problem(settings, None)
    assert isinstance(given, Restricted)
    step = settings.inner_step().draw()
    np.testing.assert_allclose(
        centre, np.concatenate([step[k].ravel() for k in ("step_rate", "step_fall")]), rtol=1e-6
    )
    moved = centre + 0.25
    every, before = whole(given, moved), whole(given, centre)
    named = start(settings.inner_rule(), settings.inner_step(), 0, settings.body())
    assert len(every) == sum(p.size for p in named.values())
    assert torch.equal(every[: -len(centre)], before[: -len(centre)])
    torch.testing.assert_close(every[-len(centre) :], moved)
    each = given.whole(torch.stack([centre, moved]))
    assert torch.equal(each, torch.stack([before, every]))


def test_what_is_held_is_not_searched():
    settings = made(hold=["slopes", "falls", "top"])
    given, centre = problem(settings, None)
    named = start(settings.inner_rule(), settings.inner_step(), settings.seed, settings.body())
    own = layout(settings.inner_rule(), settings.inner_step(), settings.body())
    moved = own.split(whole(given, centre + 1.0))
    for name, value in moved.items():
        expected = torch.as_tensor(named[name]).float() + 1.0
        if name in ("step_fall", "top"):
            expected -= 1.0
        if name == "step_rate":
            expected[..., 1] -= 1.0
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"hold": ["slope"]}, "outer parameter in hold 'slope'.*slopes"),
        ({"hold": ["step_rate", "falls"], "frozen": True}, "leave no outer parameter to search"),
        ({"hold": "slopes"}, "setting hold must be a list"),
    ],
)
def test_what_cannot_be_held_is_said(settings, said):
    with pytest.raises(RunError, match=said):
        problem(made(**settings), None)


def test_a_gradient_reaches_what_is_searched():
    given, centre = problem(made(frozen=True), None)
    centre.requires_grad_(True)
    (gradient,) = torch.autograd.grad(given.unroll(centre).loss.mean(), centre)
    assert (gradient != 0).sum() > len(centre) // 2


@pytest.mark.parametrize("more", [{}, {"frozen": True}, LAYERED, BROADCAST])
def test_whole_lives_for_searchers_that_ask_for_them(more):
    given, centre = problem(made(**PGPE, **more), None)
    generator = torch.Generator().manual_seed(0)
    fitness = given.fitness(torch.stack([centre, centre]), generator)
    assert fitness[0] == fitness[1]
    search = made(**PGPE).search().begin(given, centre, 3, generator)  # asks what has been contained
    assert np.isfinite(search.step()["loss"])


@pytest.mark.parametrize(
    "more, said",
    [
        (
            {
                "rule": {
                    "name": "tdca",
                    "credit_network": {"name": "dense", "outputs": 3, "context": "actions"},
                }
            },
            "rule tdca: its credit network reads actions and outcomes",
        ),
        (
            {"tasks": {"kind": "teacher", "widths": [4, 3]}},
            "has 5 inputs and 3 outputs, but its tasks have 4 and 3",
        ),
        ({**NRES, **ALSO}, "those of several networks do not"),
        ({**PGPE, **ALSO}, "pgpe runs whole inner runs of one network"),
        ({**NRES, "lives": 3}, "setting lives: nres needs inner runs in pairs; give an even number. Got 3"),
        ({"rule": {"name": "tdca"}}, "trained for 10 output units, but the network has 3"),
        ({"rule": {"name": "tdca"}, **PGPE}, "trained for 10 output units, but the network has 3"),
        (
            {"tasks": {"kind": "regression", "inputs": 5, "outputs": 3}},
            "but its tasks need squared_error; set model_settings: {objective: squared_error}",
        ),
        ({"model": "nonsense"}, "nonsense"),
        ({"model_settings": {"hiden": [3]}}, "hiden"),
    ],
)
def test_what_does_not_fit_is_refused(more, said):
    with pytest.raises(CortexSimError) as raised:
        problem(made(**more), None)
    assert said in str(raised.value)
