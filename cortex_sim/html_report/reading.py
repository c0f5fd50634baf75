"""What the arguments of a report are: runs, outer loops, comparisons, recordings; refused before any work."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex_sim import yaml_text
from cortex_sim.checks import require_path
from cortex_sim.errors import RunError
from cortex_sim.html_report.comparisons import Comparison, read_comparison
from cortex_sim.html_report.outer_loops import OuterLoop, read_outer_loop
from cortex_sim.html_report.recordings import Recorded, read_recording
from cortex_sim.html_report.training_runs import TrainingRun, read_training_run
from cortex_sim.runs.directory import RUN

MOST = 32  # lines that colours and dashes can distinguish
COMPARED = "report.json"
TAKES = "a run directory of train or evolve, a folder of compare --out, or a recording (.nc)"


Subject = TrainingRun | OuterLoop | Comparison | Recorded


@dataclass(frozen=True, eq=False)
class Found:
    """Subjects of a report, by kind, in the order given."""

    runs: tuple[TrainingRun, ...]
    outer_loops: tuple[OuterLoop, ...]
    comparisons: tuple[Comparison, ...]
    recordings: tuple[Recorded, ...]

    @property
    def all(self) -> tuple[Subject, ...]:
        """Every subject; training runs first."""
        return (*self.runs, *self.outer_loops, *self.comparisons, *self.recordings)

    @property
    def notes(self) -> list[str]:
        """What could not be read, by subject."""
        return [f"{one.name}: {said}" for one in self.all for said in one.notes]


def named(given: str) -> tuple[str | None, str]:
    """``NAME=PLACE``, or a place without a name."""
    name, equals, place = given.partition("=")
    if equals and not Path(given).exists() and re.fullmatch(r"[^=/:\\]+", name):
        if not place:
            raise RunError(f"{given}: give NAME=RUN")
        return name, place
    return None, given


def found(given: Sequence[tuple[str | None, str]]) -> Found:
    """Read every subject.

    Parameters
    ----------
    given : sequence of (name or None, path)
        Without a name, the last part of the path; the whole path where two would be called the same.

    Raises
    ------
    RunError
        If one cannot be reported, two have the same name, or there are none or too many.
    """
    if not given:
        raise RunError(f"report: give at least one of {TAKES}")
    if len(given) > MOST:
        raise RunError(
            f"report: at most {MOST} subjects can be distinguished in one figure. Got {len(given)}; make "
            "several reports"
        )
    kinds = [kind_of(place) for _, place in given]
    names = labels(given)
    every = [read(name, Path(place)) for read, name, (_, place) in zip(kinds, names, given, strict=True)]
    return Found(
        tuple(one for one in every if isinstance(one, TrainingRun)),
        tuple(one for one in every if isinstance(one, OuterLoop)),
        tuple(one for one in every if isinstance(one, Comparison)),
        tuple(one for one in every if isinstance(one, Recorded)),
    )


def labels(given: Sequence[tuple[str | None, str]]) -> list[str]:
    """A name for each subject, no two alike."""
    short = [name or Path(place).resolve().name for name, place in given]
    often = Counter(short)
    names = [
        place if name is None and often[one] > 1 else one
        for one, (name, place) in zip(short, given, strict=True)
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise RunError(f"report: two subjects are called {twice[0]}; give another NAME= to one of them")
    return names


def kind_of(place: str) -> Callable[[str, Path], Subject]:
    """The function that reads what is at a path.

    Raises
    ------
    RunError
        If it cannot be reported; the message names runs inside the folder, if any.
    """
    path = Path(place)
    if not path.exists():
        raise RunError(f"{place}: no such file or folder; give {TAKES}")
    if path.is_file():
        if path.suffix != ".nc":
            raise RunError(f"{place}: is not a recording; give {TAKES}")
        return read_recording
    if (path / RUN).is_file():
        content = yaml_text.read(f"run {place}", path / RUN, RunError)
        if not isinstance(content, dict):
            raise RunError(f"{path / RUN}: expected settings, name: value. Got {type(content).__name__}")
        return read_outer_loop if "searcher" in content else read_training_run
    if (path / COMPARED).is_file():
        return read_comparison
    inside = [one.parent for level in ("*", "jobs/*/run") for one in sorted(path.glob(f"{level}/{RUN}"))]
    if inside:
        some = ", ".join(map(str, inside[:3])) + (", …" if len(inside) > 3 else "")
        raise RunError(f"{place}: holds no run itself but {len(inside)} below it; give these: {some}")
    raise RunError(f"{place}: holds no run (no {RUN}) and no comparison (no {COMPARED}); give {TAKES}")


def require_place(out: str | Path, replace: bool) -> Path:
    """The file to write, which must be new unless it may be replaced.

    Raises
    ------
    RunError
        If it exists, is a folder, or its folder does not exist.
    """
    path = require_path("report", out, RunError)
    if path.exists() and (path.is_dir() or not replace):
        way = "it is a folder; give the name of a file" if path.is_dir() else "give a new file, or --replace"
        raise RunError(f"--out {out}: already exists; {way}")
    if not path.parent.is_dir():
        raise RunError(f"--out {out}: no folder {path.parent}; create it first")
    return path
