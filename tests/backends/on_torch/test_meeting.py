"""Ranks that are started again meet each other, not those that were killed."""

import threading

import pytest
from torch import distributed as dist

from cortex_sim.backends.torch import meeting


@pytest.fixture
def shared(monkeypatch):
    """The store that ``torchrun`` keeps for all its attempts."""
    kept = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(kept.port))
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setattr(meeting, "_TRY_S", 0.3)
    return kept


def test_each_start_has_a_store_of_its_own(shared):
    first = meeting.store(0)
    first.set("address", "of a process that is killed")
    assert meeting.store(1).get("address").startswith(b"of a process")
    again = meeting.store(0)
    assert not again.check(["address"]) and not meeting.store(1).check(["address"])


def test_a_rank_waits_for_the_new_first_one(shared):
    """What is written down is of one that has ended: nobody listens at port 1."""
    shared.set("cortex-sim/meeting", "1 mark")
    found = []
    waiting = threading.Thread(target=lambda: found.append(meeting.store(1)))
    waiting.start()
    first = meeting.store(0)
    first.set("here", "yes")
    waiting.join(timeout=30)
    assert found and found[0].get("here") == b"yes"


def test_a_first_rank_that_never_comes_is_named(shared, monkeypatch):
    monkeypatch.setattr(meeting, "_WAIT_S", 0.5)
    shared.set("cortex-sim/meeting", "1 mark")
    with pytest.raises(meeting.RunError, match="ranks cannot meet: rank 0, on 127.0.0.1"):
        meeting.store(1)


def test_without_a_shared_store_torch_finds_its_own_way(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    assert meeting.store(0) is None
