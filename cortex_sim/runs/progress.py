"""Progress of long work: a bar in a terminal and in a notebook, a line now and then in a log.

Nothing is shown of work that ends within half a second. A notebook's bar is plain HTML, updated in place, so
that it needs no widgets and stays in the saved notebook; a terminal's bar vanishes at the end.
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

FIRST_S = 0.5  # before a bar appears
NOTEBOOK_S, LINE_S = 0.2, 60.0  # between two updates of a notebook, and between two lines in a log


class Place(Protocol):
    """Where progress is shown."""

    def show(self, done: int, said: str, left: str) -> None:
        """Show how much is done, what is being done, and how much time is left."""

    def close(self, done: int, said: str, took: str) -> None:
        """End, however the work ended."""


class Bar:
    """Progress of one piece of work; made by `bar`.

    Parameters
    ----------
    total : int
        Pieces of the whole work.
    unit : str
        What they are, such as "presentations".
    place : Place or None
        Where it is shown; None shows nothing.
    """

    def __init__(self, total: int, unit: str, place: Place | None) -> None:
        self.total, self.unit, self.done, self.said = total, unit, 0, ""
        self._place, self._began, self._shown = place, time.monotonic(), False
        self._before = 0

    def skip(self, more: int, said: str = "") -> None:
        """Note that ``more`` pieces were done before; they do not count for the time that is left."""
        self._before += more
        self.advance(more, said)

    def advance(self, more: int, said: str = "") -> None:
        """Note that ``more`` pieces are done."""
        self.update(self.done + more, said)

    def update(self, done: int, said: str = "") -> None:
        """Note that ``done`` pieces are done altogether."""
        self.done, self.said = done, said or self.said
        seconds = time.monotonic() - self._began
        if self._place is not None and seconds >= FIRST_S:
            self._shown = True
            left = remaining(self.done - self._before, self.total - self.done, seconds)
            self._place.show(self.done, self.said, left)

    def close(self) -> None:
        """End it."""
        if self._place is not None and self._shown:
            self._place.close(self.done, self.said, f"{time.monotonic() - self._began:.1f} s")


@contextmanager
def bar(total: int, unit: str, wanted: bool = True) -> Iterator[Bar]:
    """A bar for work of ``total`` pieces, where there is somewhere to show it; it ends with the block."""
    made = Bar(total, unit, place_for(total, unit) if wanted else None)
    try:
        yield made
    finally:
        made.close()


def place_for(total: int, unit: str) -> Place:
    """A notebook if this is one, else the terminal if standard error is one, else lines on standard error."""
    if in_notebook():
        return Notebook(total, unit)
    if sys.stderr is not None and sys.stderr.isatty():
        return Terminal(total, unit)
    return Lines(total, unit)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code; IPython is not imported to find out."""
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    return running is not None and hasattr(running, "kernel")


def remaining(done: int, to_do: int, seconds: float) -> str:
    """Time that is left at the current speed, such as "12 s left"; unknown where nothing is done."""
    if not done:
        return "time left unknown"
    left = seconds * to_do / done
    if left < 90:
        return f"{left:.0f} s left"
    return f"{left / 60:.0f} min left" if left < 5400 else f"{left / 3600:.1f} h left"


class Terminal:
    """A bar on standard error."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit
        self._progress: Any = None

    def show(self, done: int, said: str, left: str) -> None:
        """Draw it, the first time from the work that is already done."""
        if self._progress is None:
            self._start(done, said)
        self._progress.update(self._task, completed=done, description=said)

    def _start(self, done: int, said: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(self._unit),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(said, total=self._total, completed=done)
        self._progress.start()

    def close(self, done: int, said: str, took: str) -> None:
        """Remove it."""
        self._progress.stop()


class Notebook:
    """A bar below the cell, which stays there with the time it took."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit
        self._handle: Any = None
        self._last = 0.0

    def show(self, done: int, said: str, left: str) -> None:
        """Draw it, at most five times a second."""
        if self._handle is not None and time.monotonic() - self._last < NOTEBOOK_S:
            return
        self._draw(done, said, left)

    def close(self, done: int, said: str, took: str) -> None:
        """Draw it for the last time."""
        self._draw(done, said, took)

    def _draw(self, done: int, said: str, time_said: str) -> None:
        from IPython.display import HTML, display

        self._last = time.monotonic()
        text = (
            f"{said}: {done} of {self._total} {self._unit}"
            if said
            else f"{done} of {self._total} {self._unit}"
        )
        drawn = HTML(
            f'<progress value="{done}" max="{self._total}" style="width:16em"></progress> '
            f'<span style="font-size:90%">{html.escape(text)}, {time_said}</span>'
        )
        if self._handle is None:
            self._handle = display(drawn, display_id=True)
        else:
            self._handle.update(drawn)


class Lines:
    """A line on standard error each minute: for scripts whose output goes to a file."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit
        self._last = time.monotonic()

    def show(self, done: int, said: str, left: str) -> None:
        """Print a line if the last one is a minute ago."""
        if time.monotonic() - self._last >= LINE_S and sys.stderr is not None:
            self._last = time.monotonic()
            what = f"{said}, " if said else ""
            print(
                f"cortex-sim: {what}{done} of {self._total} {self._unit}, {left}", file=sys.stderr, flush=True
            )

    def close(self, done: int, said: str, took: str) -> None:
        """Print nothing more."""
