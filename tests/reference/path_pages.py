"""A path's page as a person follows it: files saved under their names, commands run, output compared."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$|((?:^> [^\n]*\n)+)", re.M | re.S)
SET_UP = re.compile(r"^## Set up\n.*?^```sh\n.*?^```$", re.M | re.S)
NUMBER = re.compile(r"\d+\.\d+")
NAMED = re.compile(r"\A(?:#!.*\n)?# (\S+\.\w+)\n")  # a file says its name in its first line, or below "#!"

Smaller = Mapping[str, str]
Run = Callable[[str, Path], str]


@dataclass(frozen=True)
class Block:
    """What a page has between fences, or quotes of what is printed, which it may wrap."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """Name under which a reader saves it; None of commands and output."""
        found = NAMED.match(self.text)
        return found[1] if found else None


def blocks(page: Path) -> list[Block]:
    """All blocks behind the set-up, in order, as printed."""
    _, behind = SET_UP.split(page.read_text("utf-8"), maxsplit=1)
    return [
        Block("quote", quote.replace("> ", "")) if quote else Block(language, text)
        for language, text, quote in BLOCK.findall(behind)
    ]


def is_printed(said: str, printed: str) -> bool:
    """Whether the words are printed, and their numbers to about two digits: processors round differently."""
    said, printed = " ".join(said.split()), " ".join(printed.split())
    pattern = rf"({NUMBER.pattern})".join(map(re.escape, NUMBER.split(said)))
    wanted = [float(one) for one in NUMBER.findall(said)]
    return any(
        all(
            abs(one - float(other)) <= 0.03 * (1 + one)
            for one, other in zip(wanted, found.groups(), strict=True)
        )
        for found in re.finditer(pattern, printed)
    )


def follow(page: Path, run: Run, here: Path, smaller: Smaller | None = None) -> None:
    """Do what a page says.

    Parameters
    ----------
    page : Path
    run : function of commands and of the folder, that returns what they print
    here : Path
        Folder, empty.
    smaller : mapping of str to str, optional
        Text of the page that is replaced before it is run: numbers of trials or epochs. Without it everything
        runs as printed, and what the page says is printed must be.
    """
    unused, printed = set(smaller or {}), ""
    for block in blocks(page):
        text = block.text
        if block.language in ("text", "quote"):
            found = smaller or is_printed(text, printed)
            assert found, f"the page says it prints\n{text}\nbut it prints\n{printed}"
            continue
        for there, less in (smaller or {}).items():
            unused -= {there} if there in text else set()
            text = text.replace(there, less)
        if block.file:
            (here / block.file).write_text(text, "utf-8")
        else:
            assert block.language == "sh", (
                f"not a command, nor a file with its name in the first line:\n{text}"
            )
            printed = run(text, here)
    assert not unused, f"{page.name} no longer says {unused}"


def in_a_shell(programs: Path) -> Run:
    """Run commands by bash, in processes of their own, as a reader does.

    ``programs`` is a folder to make: cortex-sim, torchrun and python as this environment has them, SLURM's as
    they act on one node.
    """
    stubs = {
        "python": f'exec {sys.executable} "$@"',
        "cortex-sim": f'exec {sys.executable} -m cortex_sim "$@"',
        "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
        "srun": 'exec "$@"',
        "sbatch": 'exec bash "$@"',
    }
    programs.mkdir()
    for name, line in stubs.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        (programs / name).chmod(stat.S_IRWXU)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV", "SLURM"))}
    environment |= {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CORTEX_SIM_DATA": str(programs / "no-data"),  # a reader may have none
        "OMP_NUM_THREADS": "1",
    }

    def run(text: str, here: Path) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def in_this_process(text: str, here: Path) -> str:
    """Run python and cortex-sim here, as both are loaded; torchrun's part as one process, no batch files."""
    from cortex_sim.cli import main

    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        if "bash" in words:
            continue
        if words[0] == "torchrun":
            words = ["cortex-sim", *words[words.index("cortex_sim") + 1 :]]
        program, *given = words
        if program == "python":
            code = given[1] if given[0] == "-c" else (here / given[0]).read_text("utf-8")
            exec(compile(code, given[0], "exec", dont_inherit=True), {"__name__": "__main__"})
        else:
            assert program == "cortex-sim", line
            assert main(given) == 0, line
    return ""
