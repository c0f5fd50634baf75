"""Run the study of non-convex functions; continues where it stopped.

    python benchmarks/functions.py plan                   # what is done, what is not
    python benchmarks/functions.py run                    # all that is not done
    python benchmarks/functions.py run --jobs 2           # two jobs in parallel, one thread each
    python benchmarks/functions.py page                   # writes the tables of docs/results-functions.md
    python benchmarks/functions.py figures                # draws docs/figures/functions_*.png

Outer loops are those of ``cortex-sim evolve functions_first_order`` and ``functions_zero_order``, with three
outer seeds; baselines are tuned on the trained families alone. Results, with every task, are kept in
``benchmarks/results/functions/`` with the fingerprint of their configuration. The command may run several
times at once: each takes work that no other has taken. ``--tiny`` runs everything on a small scale, in
separate folders.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import functions_page
from tdca import say, state

from cortex_sim import library
from cortex_sim.tdca.functions.studies import Baseline
from cortex_sim.tdca.studies.jobs import Folders, Job, Work, work

ROOT = Path(__file__).resolve().parents[1]
# coverage.py beside this file would hide the package of that name, which evotorch's numba looks for.
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != ROOT / "benchmarks"]
PAGE = ROOT / "docs" / "results-functions.md"
PROTOCOL = "tdca_functions"
TINY: dict[str, Any] = {"iterations": 2, "tasks": 1, "evaluations": 40}


def jobs(tiny: bool = False) -> list[Work]:
    """All work, most important first."""
    found = [job for jobs_ in library.load_module("protocols", PROTOCOL).jobs().values() for job in jobs_]
    return [shrunk(job) for job in found] if tiny else found


def shrunk(job: Work) -> Work:
    """The same on a tiny scale, to show that it runs."""
    if isinstance(job, Baseline):
        return replace(job, tuned=1, tested=2, dimensions=(2,))
    if isinstance(job, Job):
        testing = {"dimensions": [2], "tasks": 2}
        return replace(job, overrides={**TINY, "testing": testing})
    return job


def folders(runs: Path | None, tiny: bool = False) -> Folders:
    """Folders of runs and results."""
    if tiny:
        own = runs or ROOT / "runs" / "functions-tiny"
        return Folders(own, own / "results")
    return Folders(runs or ROOT / "runs" / "functions", ROOT / "benchmarks" / "results" / "functions")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["plan", "run", "page", "figures"])
    parser.add_argument("only", nargs="*", help="keys of jobs, such as first_order-0; default all")
    parser.add_argument("--jobs", type=int, default=1, help="jobs in parallel")
    parser.add_argument("--runs", type=Path, help="folder of the run directories")
    parser.add_argument("--tiny", action="store_true", help="a small scale")
    given = parser.parse_args()
    places = folders(given.runs and given.runs.resolve(), given.tiny)
    if given.what == "page":
        PAGE.write_text(functions_page.page(PAGE.read_text(encoding="utf-8"), places), encoding="utf-8")
        return
    if given.what == "figures":
        functions_page.draw(places, places.results if given.tiny else ROOT / "docs" / "figures")
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
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
