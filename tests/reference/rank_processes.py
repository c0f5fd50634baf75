"""The processes of one run, each with the environment that ``torchrun`` gives it, or started by it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import cortex_sim as cs

REFERENCE = Path(__file__).resolve().parent
ROOT = Path(cs.__file__).resolve().parents[1]


def a_free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def environment(**more):
    paths = [str(ROOT), str(REFERENCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **more}


def environments(ranks):
    """One for each rank; of a single process its own."""
    if ranks == 1:
        return [environment()]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(a_free_port()), "GLOO_SOCKET_IFNAME": "lo"}
    places = [{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)} for rank in range(ranks)]
    return [environment(**place, **where) for place in places]


def started(command, ranks, **given):
    """The processes of a command, one per rank; their standard error is read by `ended`."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True} | given
    return [subprocess.Popen(command, env=env, **quiet) for env in environments(ranks)]


def ended(processes, seconds=300):
    """Exit status and standard error of each."""
    said = [process.communicate(timeout=seconds)[1] for process in processes]
    return [process.returncode for process in processes], said


def under_torchrun(arguments, ranks, *options):
    """A command that starts ``python ARGUMENTS`` on so many ranks, at a port of its own."""
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    place = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    return [*run, *place, *options, *arguments]
