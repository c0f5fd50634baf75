"""Run the studies of the top-down credit assignment network; continues where it stopped.

    export CORTEX_SIM_DATA=FOLDER
    python benchmarks/tdca.py plan                        # what is done, what is not
    python benchmarks/tdca.py run                         # all that is not done, most important first
    python benchmarks/tdca.py run first_table --jobs 2    # one study, two outer loops in parallel
    python benchmarks/tdca.py table mnist                 # one table of docs/results-tdca.md
    python benchmarks/tdca.py page                        # writes all of them into it
    python benchmarks/tdca.py figures                     # draws docs/figures/tdca_*.png

Jobs are listed by the protocols (``protocols/tdca_*.py``). Each is an outer loop of one thread in
``runs/tdca/NAME-SEED/run``; results, with every inner run, are kept in
``benchmarks/results/tdca/NAME-SEED.json`` with the fingerprint of their configuration: if that has
changed, the job is done again, which is reported. Transfers start from the run directories of outer
loops; where only results are kept, ``run STUDY --results FOLDER`` makes the directories again. The command
may run several times at once: each takes work that no other has taken; run it again when they are done.
``--tiny`` runs every job on the embedded digits for three updates, in separate folders.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import tdca_layered_page
import tdca_page

from cortex_sim import library
from cortex_sim.tdca.studies.jobs import Folders, Job, Work, is_done, work
from cortex_sim.tdca.studies.transfer import Transfer

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "docs" / "results-tdca.md", ROOT / "docs" / "results-layered.md")
TABLES = tdca_page.TABLES | tdca_layered_page.TABLES
PROTOCOLS = ("tdca_layered", "tdca_learning_curves", "tdca_diffusion", "tdca_transfer")
ORDER = ("layered", "layered_cnn", "layered_rivals", "layered_parts", "first_table", "again")
ORDER = (*ORDER, "diffusion", "transfer", "tasks", "cnn", "layered_transfer")
TINY: dict[str, Any] = {
    "tasks": {"sources": ["digits"], "weights": None, "limit": None},
    "span": {"longest": 40},
    "iterations": 3,
    "lives": 2,
    "testing": {"data": ["digits"], "steps": [3, 5], "lives": 2},
}


def studies() -> dict[str, list[Work]]:
    """Jobs of every study, in the order in which they are run."""
    found: dict[str, list[Work]] = {}
    for name in PROTOCOLS:
        found |= library.load_module("protocols", name).jobs()
    return {name: found[name] for name in ORDER}


def chosen(names: list[str], tiny: bool = False) -> list[Work]:
    """Jobs of these studies, or of all."""
    known = studies()
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no study {unknown[0]!r}; known: {', '.join(known)}")
    jobs = [job for name in names or known for job in known[name]]
    return [shrunk(job) for job in jobs] if tiny else jobs


def shrunk(job: Work) -> Work:
    """The same job on a tiny scale, to show that it runs."""
    if isinstance(job, Transfer):
        few = [replace(c, data="digits", steps=(3,)) for c in job.cells if "horizon" not in c.label]
        return replace(job, cells=tuple(few))
    assert isinstance(job, Job)
    tasks = {**job.overrides.get("tasks", {}), **TINY["tasks"]}
    return replace(job, overrides={**job.overrides, **TINY, "tasks": tasks})


def folders(runs: Path | None, tiny: bool = False, results: Path | None = None) -> Folders:
    """Folders of runs and results."""
    if tiny:
        own = runs or ROOT / "runs" / "tdca-tiny"
        return Folders(own, results or own / "results")
    return Folders(runs or ROOT / "runs" / "tdca", results or ROOT / "benchmarks" / "results" / "tdca")


def state(job: Work, places: Folders) -> str:
    """State of a job."""
    if is_done(job, places):
        return "done"
    if places.kept(job.key) is not None:
        return "other"  # the kept result has another configuration
    return "begun" if places.run(job.key).is_dir() else "open"


def draw(places: Folders, into: Path) -> None:
    """Every figure of the protocols, with few colours, which keeps the files small."""
    from io import BytesIO

    from PIL import Image

    into.mkdir(parents=True, exist_ok=True)
    for name in PROTOCOLS:
        for title, figure in library.load_module("protocols", name).figures(places).items():
            drawn = BytesIO()
            figure.savefig(drawn, format="png", dpi=110)
            few = Image.open(drawn).convert("RGB").quantize(96)
            few.save(into / f"{title}.png", optimize=True)
            say(str(into / f"{title}.png"))


def say(text: str) -> None:
    """Print one line immediately."""
    print(text, flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["plan", "run", "table", "page", "figures"])
    parser.add_argument("study", nargs="*", help=f"{', '.join(ORDER)}; for table: {', '.join(TABLES)}")
    parser.add_argument("--jobs", type=int, default=1, help="outer loops in parallel")
    parser.add_argument("--runs", type=Path, help="folder of the run directories")
    parser.add_argument("--results", type=Path, help="folder of results, if not the kept ones")
    parser.add_argument("--tiny", action="store_true", help="three updates on the embedded digits")
    given = parser.parse_args()
    own = [path and path.resolve() for path in (given.runs, given.results)]
    places = folders(own[0], given.tiny, own[1])
    if given.what == "table":
        unknown = [name for name in given.study if name not in TABLES]
        if unknown or not given.study:
            parser.error(f"table needs one of {', '.join(TABLES)}")
        for name in given.study:
            say("\n".join(TABLES[name](places)))
        return
    if given.what == "page":
        for path in PAGES:
            path.write_text(tdca_page.page(path.read_text("utf-8"), places, TABLES), encoding="utf-8")
        return
    if given.what == "figures":
        draw(places, places.results if given.tiny else ROOT / "docs" / "figures")
        return
    jobs = chosen(given.study, given.tiny)
    if given.what == "plan":
        for job in jobs:
            say(f"{state(job, places):6}{job.key}")
    else:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        failed = work(jobs, places, say, given.jobs)
        if failed:
            sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
