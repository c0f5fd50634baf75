"""Of several processes that meet an error, those speak that have to."""

import socket
import time

import pytest
from torch import distributed as dist
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from cortex_sim.cli import main
from cortex_sim.runs import ranks


@pytest.fixture
def place(monkeypatch):
    """Environments as ``torchrun`` and others make them; nobody waits long."""
    monkeypatch.setattr(ranks, "_FIRST_S", 0.0)
    monkeypatch.setattr(ranks, "_STORE_S", 0.2)

    def be(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))

    return be


@pytest.fixture
def store(place):
    """The store of ``torchrun``'s own process."""
    kept = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    place(WORLD_SIZE=4, MASTER_ADDR="127.0.0.1", MASTER_PORT=kept.port, TORCHELASTIC_USE_AGENT_STORE=True)
    return kept


def test_alone_everything_is_said(place, capsys):
    assert ranks.rank() == 0 and ranks.has_to_say("a mistake") and ranks.has_to_say("a mistake")
    place(RANK=3)  # of something else: there is no WORLD_SIZE
    assert ranks.rank() == 0
    assert main(["show", "digits_mpl"]) == 2
    assert capsys.readouterr().err.startswith("cortex-sim: unknown model 'digits_mpl'")


def test_what_all_meet_is_said_once(store, place):
    place(RANK=0)
    assert ranks.has_to_say("a mistake")
    place(RANK=2)
    assert not ranks.has_to_say("a mistake")
    assert ranks.has_to_say("another mistake")
    place(TORCHELASTIC_RESTART_COUNT=1)  # processes that were started again meet it again
    assert ranks.was_restarted() and ranks.has_to_say("a mistake")


def test_what_one_rank_meets_is_said_with_its_number(store, place, capsys):
    place(RANK=1)
    for _ in range(2):
        assert main(["show", "digits_mpl"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("cortex-sim: rank 1: unknown model 'digits_mpl'") and said.count("\n") == 1


def test_where_nobody_can_be_asked_it_is_said(place):
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        place(MASTER_PORT=opened.getsockname()[1])  # where nobody listens
        place(WORLD_SIZE=2, RANK=1, MASTER_ADDR="127.0.0.1", TORCHELASTIC_USE_AGENT_STORE=True)
        assert ranks.has_to_say("a mistake")
    place(TORCHELASTIC_USE_AGENT_STORE=False)
    assert ranks.has_to_say("a mistake")


def test_a_first_start_is_no_restart(place):
    assert not ranks.was_restarted()
    place(TORCHELASTIC_RESTART_COUNT=0)
    assert not ranks.was_restarted()


def test_torchruns_own_report_ends_with_the_message(place, tmp_path, capsys):
    place(TORCHELASTIC_ERROR_FILE=tmp_path / "error.json")
    assert main(["show", "digits_mpl"]) == 2
    said = capsys.readouterr().err.strip()
    failure = ProcessFailure(local_rank=0, pid=1, exitcode=2, error_file=str(tmp_path / "error.json"))
    assert said.startswith("cortex-sim: ") and failure.message == said
    assert abs(failure.timestamp - time.time()) < 600  # the first failure is the earliest
    place(TORCHELASTIC_ERROR_FILE=tmp_path / "gone" / "error.json")
    assert main(["show", "digits_mpl"]) == 2  # the line is printed all the same
