"""Image tasks against the plainest reference: one list of presentations for each inner run, in a loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.tasks import PARTS, ImageTasks

ANY = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
FLAGS = st.fixed_dictionaries(
    {
        "permute_labels": st.booleans(),
        "classes": st.sampled_from([None, 1, 2, 3]),
        "keep_outputs": st.booleans(),
        "permute_pixels": st.booleans(),
        "project": st.booleans(),
    }
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def gathered(batch, part="test", chunk=4):
    """All presentations of each inner run, as lists of (x, y)."""
    found = [[] for _ in range(batch.runs)]
    for x, y, counted in batch.test_presentations(chunk, part):
        assert x.shape == (batch.runs, counted.shape[1], batch.inputs) and counted.shape[1] <= chunk
        assert y.shape == (batch.runs, counted.shape[1], batch.outputs)
        for run in range(batch.runs):
            found[run] += [(x[run, i], y[run, i]) for i in counted[run].nonzero()[:, 0].tolist()]
    return found


def reference(tasks, task, run, part):
    """What an inner run may see, from the definition: its source's images of the classes it sees."""
    source = tasks.sources[int(task["source"][run])]
    shown = []
    for label, unit in zip(task["seen"][run].tolist(), task["unit"][run].tolist(), strict=True):
        for i in range(len(source.y)):
            if int(source.y[i]) == label and int(source.part[i]) == PARTS[part]:
                x = source.x[i].double()
                if "pixel" in task:
                    x = torch.stack([x[p] for p in task["pixel"][run].tolist()])
                if "projection" in task:
                    x = torch.stack([row.double() @ x for row in task["projection"][run]])
                y = [float(u == unit) for u in range(tasks.outputs)]
                shown.append((x, torch.tensor(y)))
    return shown


@ANY
@given(flags=FLAGS, part=st.sampled_from(list(PARTS)), chunk=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_whole_part_equals_the_loop(source, flags, part, chunk, seed):
    tasks = ImageTasks([source("a", 3), source("b", 5, seed=1)], **flags)
    batch = tasks.draw(6, seeded(seed))
    for run, found in enumerate(gathered(batch, part, chunk)):
        expected = reference(tasks, batch.task, run, part)
        assert len(found) == len(expected)
        for (x, y), (x_ref, y_ref) in zip(found, expected, strict=True):
            torch.testing.assert_close(x.double(), x_ref, rtol=1e-5, atol=1e-2)
            assert torch.equal(y, y_ref)


@ANY
@given(flags=FLAGS, part=st.sampled_from(list(PARTS)), seed=st.integers(0, 99))
def test_what_is_drawn_is_in_the_part_with_its_label(source, flags, part, seed):
    tasks = ImageTasks([source("a", 3), source("b", 5, seed=1)], **{**flags, "project": False})
    batch = tasks.draw(4, seeded(seed))
    x, y = batch.presentations(11, part, seeded(seed + 1))
    assert x.shape == (4, 11, 7) and y.shape == (4, 11, batch.outputs)
    for run in range(4):
        allowed = {
            tuple(x_ref.tolist()): y_ref.tolist() for x_ref, y_ref in reference(tasks, batch.task, run, part)
        }
        for i in range(11):
            assert allowed[tuple(x[run, i].tolist())] == y[run, i].tolist()


def test_every_presentation_is_equally_likely(source):
    tasks = ImageTasks([source("a", 5)], classes=3)
    batch = tasks.draw(2, seeded())
    x, _ = batch.presentations(40_000, "train", seeded(1))
    for run in range(2):
        _, counts = x[run, :, 0].unique(return_counts=True)
        assert len(counts) == len(reference(tasks, batch.task, run, "train"))
        expected = 40_000 / len(counts)
        assert ((counts - expected).abs() < 5 * expected**0.5).all()


def test_sources_come_as_often_as_weighted(source):
    sources = [source("a", 3), source("b", 3, seed=1), source("c", 3, seed=2)]
    drawn = ImageTasks(sources, weights=[1, 0, 3]).draw(4000, seeded()).task["source"]
    shares = torch.bincount(drawn, minlength=3) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.0, 0.75]), atol=0.03, rtol=0)
    alike = ImageTasks(sources).draw(4000, seeded()).task["source"]
    torch.testing.assert_close(torch.bincount(alike) / 4000, torch.full((3,), 1 / 3), atol=0.03, rtol=0)


@pytest.mark.parametrize("classes", [None, 3])
def test_labels_are_permuted_one_to_one_and_in_all_ways(source, classes):
    batch = ImageTasks([source("a", 3)], classes=classes).draw(600, seeded())
    unit = batch.task["unit"]
    assert torch.equal(unit.sort(1).values, torch.arange(3).expand(600, -1))
    orders, counts = unit.unique(dim=0, return_counts=True)
    assert len(orders) == 6 and counts.min() > 60  # of 100 expected


def test_the_same_label_in_every_part(source):
    src = source("a", 5)
    batch = ImageTasks([src]).draw(3, seeded())
    label_of = {float(x[0]): int(y) for x, y in zip(src.x, src.y, strict=True)}
    for run in range(3):
        units = {}
        for part in PARTS:
            x, y = batch.presentations(200, part, seeded(2))
            for pixel, unit in zip(x[run, :, 0].tolist(), y[run].argmax(1).tolist(), strict=True):
                units.setdefault(label_of[pixel], set()).add(unit)
        assert sorted(units) == list(range(5)) and all(len(found) == 1 for found in units.values())
        assert len(set.union(*units.values())) == 5


def test_unpermuted_labels_are_the_classes(source):
    src = source("a", 5)
    x, y = ImageTasks([src], permute_labels=False).draw(2, seeded()).presentations(50, "test", seeded(1))
    label_of = {float(x[0]): int(y) for x, y in zip(src.x, src.y, strict=True)}
    assert [label_of[pixel] for pixel in x[1, :, 0].tolist()] == y[1].argmax(1).tolist()


def test_a_subset_of_classes(source):
    tasks = ImageTasks([source("a", 5)], classes=2)
    assert tasks.outputs == 2
    seen, counts = tasks.draw(1000, seeded()).task["seen"].unique(dim=0, return_counts=True)
    assert len(seen) == 10 and counts.min() > 60  # every pair of the five, of 100 expected
    kept = ImageTasks([source("a", 5)], classes=2, keep_outputs=True)
    assert kept.outputs == 5
    units = kept.draw(1000, seeded()).task["unit"].unique(dim=0)
    assert len(units) == 20
    ordered = ImageTasks([source("a", 5)], classes=2, keep_outputs=True, permute_labels=False)
    task = ordered.draw(50, seeded()).task
    assert torch.equal(task["unit"], task["seen"])


def test_a_source_with_fewer_classes_shows_no_others(source):
    tasks = ImageTasks([source("few", 2), source("many", 5, seed=1)], permute_labels=False)
    batch = tasks.draw(20, seeded())
    assert batch.outputs == 5 and tasks.draw(1, seeded()).task["seen"].shape == (1, 5)
    _, y = batch.presentations(100, "train", seeded(1))
    shown = y.sum(1) > 0
    few = batch.task["source"] == 0
    assert few.any() and not few.all()
    assert not shown[few][:, 2:].any() and shown[few][:, :2].all() and shown[~few].all()
    subset = ImageTasks(tasks.sources, classes=2).draw(200, seeded()).task
    assert subset["seen"][subset["source"] == 0].max() == 1
    assert subset["seen"][subset["source"] == 1].max() == 4


def test_pixels_are_permuted_and_projected_for_each_task(source):
    batch = ImageTasks([source("a", 3)], permute_pixels=True, project=True).draw(500, seeded())
    assert torch.equal(batch.task["pixel"].sort(1).values, torch.arange(7).expand(500, -1))
    assert len(batch.task["pixel"].unique(dim=0)) > 400
    projection = batch.task["projection"]
    assert projection.shape == (500, 7, 7)
    assert projection.mean().abs() < 0.01 and abs(projection.var() * 7 - 1) < 0.03


def test_twins_are_alike_and_others_not(source):
    tasks = ImageTasks([source("a", 5)], permute_pixels=True, project=True)
    batch = tasks.draw(8, seeded(), twins=True)
    assert batch.runs == 8
    for x, y in [batch.presentations(13, "train", seeded(1)), next(batch.test_presentations(13))[:2]]:
        assert x.shape[0] == y.shape[0] == 8
        assert torch.equal(x[::2], x[1::2]) and torch.equal(y[::2], y[1::2])
        assert not torch.equal(x[0], x[2])


@pytest.mark.parametrize("twins", [False, True])
def test_redraw_touches_only_its_slots(source, twins):
    tasks = ImageTasks([source("a", 5), source("b", 5, seed=1)], permute_pixels=True, project=True)
    batch = tasks.draw(6, seeded(), twins)
    before = {name: tensor.clone() for name, tensor in batch.task.items()}
    slots = torch.tensor([False, False, True, True, False, False])
    new = batch.redraw(slots, seeded(5))
    kept = ~(slots[::2] if twins else slots)
    for name, tensor in before.items():
        assert torch.equal(batch.task[name], tensor), "the old batch stays as it was"
        assert torch.equal(new.task[name][kept], tensor[kept])
    assert not torch.isclose(new.task["projection"][~kept], before["projection"][~kept]).any()
    assert not (new.task["pixel"][~kept] == before["pixel"][~kept]).all(1).any()
    nobody = torch.zeros(6, dtype=torch.bool)
    generator = seeded(7)
    assert batch.redraw(nobody, generator) is batch
    assert torch.equal(generator.get_state(), seeded(7).get_state())


def test_the_generator_decides(source):
    tasks = ImageTasks([source("a", 5)], classes=3)
    first, again, other = (tasks.draw(9, seeded(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first.task[name], again.task[name]) for name in first.task)
    assert not torch.equal(first.task["seen"], other.task["seen"])


@pytest.mark.parametrize("permute", [False, True])
def test_resume_through_safetensors(source, permute):
    tasks = ImageTasks([source("a", 5)], permute_labels=permute, permute_pixels=permute, project=permute)
    batch = tasks.draw(6, seeded(), twins=True)
    saved = save(batch.state())
    resumed = tasks.draw(6, seeded(9), twins=True).restore(load(saved))
    for part in PARTS:
        pairs = zip(
            batch.presentations(13, part, seeded(3)), resumed.presentations(13, part, seeded(3)), strict=True
        )
        assert all(torch.equal(one, two) for one, two in pairs)


def test_refuses_what_cannot_be_a_task(source):
    three, five = source("three", 3), source("five", 5)
    wide = type(three)("wide", torch.cat([three.x, three.x], 1), three.y, three.part, 3)
    for arguments, message in [
        ({"sources": []}, "sources is empty"),
        ({"sources": [three, wide]}, "wide has 14 pixels, but three 7"),
        ({"sources": [five, three], "classes": 4}, "classes=4, but three has 3; give at most 3"),
        ({"sources": [five], "classes": 0}, "classes must be a whole number of at least 1"),
        ({"sources": [five], "weights": [1, 2]}, "2 weights for 1 sources"),
        ({"sources": [five], "weights": [-1]}, "weights must be 0 or more"),
        ({"sources": [five], "weights": 1}, "weights must list one number for each source. Got 1"),
        ({"sources": [five], "weights": "1"}, "weights must list one number for each source. Got '1'"),
        ({"sources": [five], "weights": [0]}, "all weights are 0"),
        ({"sources": [five], "project": 1}, "project must be True or False"),
    ]:
        with pytest.raises(DeclarationError, match=message):
            ImageTasks(**arguments)
    batch = ImageTasks([five]).draw(2, seeded())
    with pytest.raises(DeclarationError, match=r"unknown part 'tset' \(did you mean 'test'"):
        batch.presentations(3, "tset", seeded())
    with pytest.raises(DeclarationError, match="unknown part 'all'"):
        next(batch.test_presentations(3, "all"))
