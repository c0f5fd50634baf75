"""One self-contained HTML page about runs, comparisons and recordings: ``cortex-sim report``.

`write` makes the page. `reading` finds out what each argument is and reads it; each kind of subject has a
module that turns it into sections; `document` lays them out. What is reported is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cortex_sim.calling import known_arguments

__all__ = ["write"]


@known_arguments("html_report.write")
def write(
    subjects: Sequence[str | Path] | Mapping[str, str | Path],
    out: str | Path = "report.html",
    *,
    present: int = 100,
    replace: bool = False,
) -> Path:
    """Write one page about runs, comparisons and recordings, whole or not at all; returns its path.

    Parameters
    ----------
    subjects : sequence of path, or mapping of name to path
        Run directories of ``train`` and ``evolve``, folders of ``compare --out``, recordings (``.nc``). Those
        of one kind are shown side by side.
    out : path, default "report.html"
        A new file.
    present : int, default 100
        Stimuli of each training run's own test data that are presented to its network for the responses;
        0 for none. The run itself stays as it is.
    replace : bool, default False
        Whether to replace an existing ``out``.

    Raises
    ------
    RunError, DataError
        If ``out`` exists or cannot be written, or a subject is none of these.
    """
    from cortex_sim.html_report.document import page
    from cortex_sim.html_report.reading import found, require_place
    from cortex_sim.runs.files import write_text

    given = subjects.items() if isinstance(subjects, Mapping) else ((None, place) for place in subjects)
    place = require_place(out, replace)
    read: Any = found([(name, str(path)) for name, path in given])
    write_text(place, page(read, present))
    return place
