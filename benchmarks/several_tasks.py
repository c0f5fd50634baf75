"""One credit network for several tasks: run the study; continues where it stopped.

    python benchmarks/several_tasks.py plan          # what is done, what is not
    python benchmarks/several_tasks.py run           # all that is not done, one outer seed after the other
    python benchmarks/several_tasks.py run joint-0   # one job
    python benchmarks/several_tasks.py page          # writes the tables of docs/results-several-tasks.md
    python benchmarks/several_tasks.py figures       # draws docs/figures/several_tasks.png

$CORTEX_SIM_DATA names the folder of mnist.npz. Outer loops are those of ``cortex-sim evolve several_tasks``
and of its baselines; results, with every inner run, are in ``benchmarks/results/several/`` with the
fingerprint of their configuration. The command may run several times at once: each takes work that no other
has taken. ``--tiny`` runs everything on a small scale, in separate folders.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import several_page
from several_page import GATHERED, PROBABILITIES
from tdca import say, state

from cortex_sim import library
from cortex_sim.tdca.studies.jobs import Folders, Job, work

ROOT = Path(__file__).resolve().parents[1]
# coverage.py beside this file would hide the package of that name, which evotorch's numba looks for.
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != ROOT / "benchmarks"]
PAGE = ROOT / "docs" / "results-several-tasks.md"
PROTOCOL = "tdca_several_tasks"
_SUPERVISED: dict[str, Any] = {
    "lives": 2,
    "tasks": {"sources": ["digits"]},
    "span": {"longest": 20},
    "testing": {"data": ["digits"], "steps": [3], "lives": 2, "widths": {}},
}
_REINFORCEMENT: dict[str, Any] = {
    "inner_runs": 2,
    "practice": {"updates": 10, "episodes": 4, "fresh": 4},
    "testing": {"settings": ["R"], "inner_runs": 2, "after": 4, "controls": []},
}
TINY: dict[str, Any] = {
    "iterations": 2,
    "supervised": _SUPERVISED,
    "reinforcement": _REINFORCEMENT,
    "functions": {"evaluations": 40, "testing": {"dimensions": [2], "tasks": 2, "controls": []}},
    "searcher": {"pairs": 1},
}


def jobs(tiny: bool = False) -> list[Job]:
    """All work, most important first."""
    found = library.load_module("protocols", PROTOCOL).jobs()
    return [shrunk(job) for job in found] if tiny else found


def shrunk(job: Job) -> Job:
    """The same on a tiny scale, to show that it runs."""
    if job.config == "several_tasks":
        return replace(job, overrides={**job.overrides, **TINY})
    own = _REINFORCEMENT if job.config.startswith("reinforcement") else _SUPERVISED
    kept = {name: value for name, value in job.overrides.items() if name not in ("tasks", "span", "practice")}
    return replace(job, overrides={**kept, **own, "iterations": 2})


def folders(runs: Path | None, tiny: bool = False) -> Folders:
    """Folders of runs and results."""
    if tiny:
        own = runs or ROOT / "runs" / "several-tiny"
        return Folders(own, own / "results")
    return Folders(runs or ROOT / "runs" / "several", ROOT / "benchmarks" / "results" / "several")


def gather(places: Folders) -> None:
    """Keep what tables need from run directories: cosines between gradients, and trained gains."""
    found = places.kept(GATHERED) or {}
    for job in jobs():
        folder = places.run(job.key)
        if job.config != "several_tasks" or not (folder / "outer.safetensors").is_file():
            continue
        text = (folder / "metrics.jsonl").read_text("utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        cosines = {name: [line[name] for line in lines] for name in lines[0] if name.startswith("cosine_")}
        found[job.key] = {"cosines": cosines, "gains": gains(job, folder)}
    places.keep(GATHERED, found)


def gains(job: Job, folder: Path) -> dict[str, list[float]]:
    """exp(o₂) at targets and choices of these probabilities, half way through an inner run, by kind."""
    import torch
    from safetensors.torch import load_file

    from cortex_sim.credit import TopSignals

    settings: Any = job.settings()
    named = load_file(str(folder / "outer.safetensors"))
    shared = {name.removeprefix("network/"): p for name, p in named.items() if name.startswith("network/")}
    found = {}
    for kind, outputs in (("supervised", 10), ("reinforcement", 2)):
        network = settings.part(kind).inner_rule().credit_network
        odds = torch.tensor(PROBABILITIES, dtype=torch.float64)[:, None]
        rates = torch.cat((odds.log(), ((1 - odds) / (outputs - 1)).log().expand(-1, outputs - 1)), 1)[None]
        goal = torch.zeros(1, len(odds), outputs + 4 * (kind == "reinforcement"), dtype=torch.float64)
        goal[..., 0] = 1.0
        if kind == "reinforcement":
            goal[..., outputs : outputs + 2] = 1.0  # outcome and weight
        half = torch.full((1,), 0.5, dtype=torch.float64)
        received = TopSignals(rates, goal, goal[..., :outputs] - rates.softmax(-1), half)
        credit: Any = network.credits(settings.shared().at(shared, kind), received, [])[0]
        base: Any = network.context.base({}, received)
        found[kind] = (credit / base)[0, :, 0].tolist()
    return found


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["plan", "run", "page", "figures"])
    parser.add_argument("only", nargs="*", help="keys of jobs, such as joint-0; default all")
    parser.add_argument("--jobs", type=int, default=1, help="jobs in parallel")
    parser.add_argument("--runs", type=Path, help="folder of the run directories")
    parser.add_argument("--tiny", action="store_true", help="a small scale")
    given = parser.parse_args()
    places = folders(given.runs and given.runs.resolve(), given.tiny)
    if given.what == "page":
        PAGE.write_text(several_page.page(PAGE.read_text("utf-8"), places), "utf-8")
        return
    if given.what == "figures":
        several_page.draw(places, places.results if given.tiny else ROOT / "docs" / "figures")
        return
    found = jobs(given.tiny)
    unknown = set(given.only) - {job.key for job in found}
    if unknown:
        parser.error(f"no job {sorted(unknown)[0]!r}; known: {', '.join(job.key for job in found)}")
    found = [job for job in found if not given.only or job.key in given.only]
    if given.what == "plan":
        for job in found:
            say(f"{state(job, places):6}{job.key}")
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    failed = work(found, places, say, given.jobs)
    gather(places)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
