"""What is followed during a run is a fair sample, also of a file sorted by class."""

from __future__ import annotations

import torch

from cortex_sim.training.evaluating import _sample


def test_sample_of_sorted_data_holds_every_class_and_is_the_same_each_time():
    y = torch.arange(10).repeat_interleave(100)
    x = y[:, None].double()
    ours, labels = _sample(x, y, 256)
    assert len(labels) == 256 and set(labels.tolist()) == set(range(10))
    assert torch.equal(ours[:, 0].long(), labels)  # stimuli stay with their labels
    assert torch.equal(_sample(x, y, 256)[1], labels)


def test_a_small_set_is_taken_whole():
    x, y = torch.arange(5)[:, None], torch.arange(5)
    assert sorted(_sample(x, y, 256)[1].tolist()) == [0, 1, 2, 3, 4]
