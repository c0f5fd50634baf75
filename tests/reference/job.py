"""A run under ``torchrun`` whose processes can be found and killed."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from rank_processes import environment, under_torchrun


class Job:
    """``torchrun`` with so many ranks of ``cortex_sim train ARGUMENTS``; its output goes to a file."""

    def __init__(self, arguments, folder, ranks=2, options=()):
        command = under_torchrun(["-m", "cortex_sim", "train", *arguments], ranks, *options)
        self.said = Path(folder) / f"said-{time.monotonic_ns()}.txt"
        with self.said.open("w") as file:
            self.agent = subprocess.Popen(command, env=environment(), stdout=file, stderr=file)
        self._seen = set()

    def processes(self):
        """Every process of the job that is alive, torchrun's own and those of workers included."""
        parents = dict(_parents())
        self._seen = {pid for pid in self._seen if pid in parents}
        known, more = self._seen | {self.agent.pid}, True
        while more:
            more = {pid for pid, parent in parents.items() if parent in known} - known
            known |= more
        self._seen = known - {self.agent.pid} | ({self.agent.pid} & set(parents))
        return self._seen

    def ranks(self):
        """Process of each rank."""
        found = {}
        for pid, parent in _parents():
            if parent == self.agent.pid:
                with suppress(OSError):
                    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                        if entry.startswith(b"RANK="):
                            found[int(entry[5:])] = pid
        return found

    def kill_rank(self, rank):
        self.processes()
        os.kill(self.ranks()[rank], signal.SIGKILL)

    def kill(self):
        """All of it at once, as a machine that loses its power."""
        for pid in [self.agent.pid, *self.processes()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.agent.wait()

    def ended(self, seconds=900):
        """Exit status, once no process of it is left."""
        self.processes()
        status = self.agent.wait(timeout=seconds)
        until = time.monotonic() + 120
        while left := self.processes():
            assert time.monotonic() < until, f"still running: {left}\n{self.said.read_text()}"
            time.sleep(0.1)
        return status


def _parents():
    """Process and parent of everything that runs here, without what has ended and was not waited for."""
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    yield int(place.name), int(parent)
