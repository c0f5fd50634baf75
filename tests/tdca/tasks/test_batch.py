"""What every distribution of tasks has in common, on one that is easy to see through."""

from __future__ import annotations

import pytest
import torch

from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.tdca.tasks import Fixed, FunctionTasks, SmoothFunctions, Teachers

TASKS = {
    "smooth": FunctionTasks(SmoothFunctions(inputs=3, outputs=2), tested=17),
    "labels": FunctionTasks(Teachers((5, 7, 3)), tested=17),
    "fixed": Fixed(FunctionTasks(Teachers((5, 7, 3), targets_are="outputs"), tested=17), 4),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", TASKS)
class TestEveryDistribution:
    def test_shapes(self, name):
        tasks = TASKS[name]
        batch = tasks.draw(6, seeded())
        assert batch.runs == 6 and batch.objective == tasks.objective
        for part in ("train", "validation", "test"):
            x, y = batch.presentations(11, part, seeded(1))
            assert x.shape == (6, 11, tasks.inputs) and y.shape == (6, 11, tasks.outputs)
            assert x.dtype == y.dtype == torch.float32

    def test_the_whole_part_is_shown_once(self, name):
        batch = TASKS[name].draw(4, seeded(), twins=True)
        x, y, counted = (torch.cat(each, 1) for each in zip(*batch.test_presentations(5), strict=True))
        assert x.shape == (4, 17, batch.inputs) and y.shape == (4, 17, batch.outputs)
        assert counted.shape == (4, 17) and counted.all()
        (again,) = batch.test_presentations(100)
        torch.testing.assert_close(again[1], y)
        validation = next(batch.test_presentations(5, "validation"))[0]
        assert not torch.isclose(validation, x[:, :5]).any()

    def test_twins(self, name):
        batch = TASKS[name].draw(6, seeded(), twins=True)
        x, y = batch.presentations(11, "train", seeded(1))
        assert torch.equal(x[::2], x[1::2]) and torch.equal(y[::2], y[1::2])
        assert not torch.equal(x[0], x[2])

    def test_resume(self, name):
        tasks = TASKS[name]
        batch = tasks.draw(6, seeded())
        resumed = tasks.draw(6, seeded(1)).restore(batch.state())
        for one, two in zip(
            batch.presentations(11, "train", seeded(2)),
            resumed.presentations(11, "train", seeded(2)),
            strict=True,
        ):
            assert torch.equal(one, two)

    def test_redraw(self, name):
        batch = TASKS[name].draw(6, seeded())
        slots = torch.tensor([False, True, False, False, True, False])
        new = batch.redraw(slots, seeded(3))
        for key, tensor in batch.task.items():
            assert torch.equal(new.task[key][~slots], tensor[~slots])
        assert any(not torch.equal(new.task[key][slots], t[slots]) for key, t in batch.task.items())


def test_a_fixed_number_of_tasks():
    fixed = Fixed(FunctionTasks(SmoothFunctions()), 5)
    phase = fixed.draw(400, seeded()).task["phase"].flatten(1)
    distinct, counts = phase.unique(dim=0, return_counts=True)
    assert len(distinct) == 5 and counts.min() > 50  # of 80 expected
    assert len(torch.cat([phase, fixed.draw(400, seeded(1)).task["phase"].flatten(1)]).unique(dim=0)) == 5
    same, other = (
        Fixed(fixed.distribution, 5, seed).draw(400, seeded()).task["phase"].flatten(1).unique(dim=0)
        for seed in (0, 1)
    )
    assert torch.equal(same, distinct) and not torch.isclose(other, distinct).any()


def test_lives_with_the_same_task_learn_the_same_function():
    fixed = Fixed(FunctionTasks(SmoothFunctions()), 1)
    x, y = fixed.draw(2, seeded()).presentations(5, "train", seeded(1))
    swapped = fixed.distribution.function.targets(fixed.pool, x.flip(0)).flip(0)
    torch.testing.assert_close(y, swapped)


def test_refusals():
    tasks = TASKS["smooth"]
    with pytest.raises(DeclarationError, match="twins come in pairs; give an even number of runs. Got 3"):
        tasks.draw(3, seeded(), twins=True)
    with pytest.raises(DeclarationError, match="runs must be a whole number of at least 1"):
        tasks.draw(0, seeded())
    with pytest.raises(DeclarationError, match="Fixed: number must be a whole number"):
        Fixed(tasks, 0)
    twins = tasks.draw(4, seeded(), twins=True)
    with pytest.raises(DeclarationError, match="of the twins 2 and 3 only one is marked"):
        twins.redraw(torch.tensor([True, True, False, True]), seeded())
    with pytest.raises(DeclarationError, match=r"slots has dtype torch.bool and shape \(2,\)"):
        twins.redraw(torch.tensor([True, True]), seeded())
    with pytest.raises(DeclarationError, match="chunk must be"):
        next(twins.test_presentations(0))
    for wrong in (0, -1, 2.0):
        with pytest.raises(DeclarationError, match="presentations: batch must be a whole number"):
            twins.presentations(wrong, "train", seeded())
    state = twins.state()
    with pytest.raises(RunError, match="saved are amplitude, frequency, but these tasks have"):
        twins.restore({name: state[name] for name in ("frequency", "amplitude")})
    with pytest.raises(RunError, match=r"saved phase is torch.float32 of shape \(1, 1, 64\)"):
        twins.restore({**state, "phase": state["phase"][:1]})
