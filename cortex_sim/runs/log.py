"""What a run writes while it runs: metrics.jsonl, event files, and progress on a terminal."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cortex_sim.errors import RunError
from cortex_sim.runs.progress import Bar, place_for

JSONL, EVENTS = "metrics.jsonl", "tensorboard"


class RunLog:
    """Metrics of one run, as JSON lines and for TensorBoard; can be cut back to an earlier state.

    Parameters
    ----------
    out : Path
        The run directory.
    active : bool
        False on ranks that only compute.
    """

    def __init__(self, out: Path, active: bool = True) -> None:
        self.out, self.active = out, active
        self._events: Any = None
        self._bar: Bar | None = None
        self._lines: list[dict[str, Any]] = []

    def cut_back(self, lengths: dict[str, int]) -> None:
        """Shorten the files to these byte lengths; files that are not listed are removed."""
        if not self.active:
            return
        with _room(self.out):
            (self.out / EVENTS).mkdir(parents=True, exist_ok=True)
        for path in (self.out / JSONL, *(self.out / EVENTS).iterdir()):
            length = lengths.get(str(path.relative_to(self.out)))
            if length is None:
                path.unlink(missing_ok=True)
            elif not path.is_file() or path.stat().st_size < length:
                raise RunError(f"{path}: shorter than when its checkpoint was written; put it back")
            else:
                os.truncate(path, length)
        for part in self.out.glob("*.part"):
            part.unlink()

    def open(self) -> None:
        """Open the files to append to them."""
        if not self.active:
            return
        from torch.utils.tensorboard import SummaryWriter

        with _room(self.out / EVENTS):
            self._events = SummaryWriter(str(self.out / EVENTS))
        path = self.out / JSONL
        if path.is_file():
            try:
                self._lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            except ValueError:
                raise RunError(f"{path}: damaged; put back another copy, or start a new run") from None

    def write(self, line: dict[str, Any]) -> None:
        """Append one evaluation; values that are not finite become null."""
        if not self.active:
            return
        line = _finite(line)
        self._lines.append(line)
        append_line(self.out / JSONL, json.dumps(line))
        with _room(self.out / EVENTS):
            self._add_events(line)

    def _add_events(self, line: dict[str, Any]) -> None:
        for name, value in line.items():
            if isinstance(value, dict):
                for key, inner in value.items():
                    if inner is not None:
                        self._events.add_scalar(f"{name}/{key}", inner, line["step"])
            elif isinstance(value, (int, float)) and name not in ("step", "epoch"):
                self._events.add_scalar(name, value, line["step"])
        self._events.flush()

    def lengths(self) -> dict[str, int]:
        """Byte length of every file written so far, by path within the run directory."""
        files = [self.out / JSONL, *(self.out / EVENTS).iterdir()]
        return {str(p.relative_to(self.out)): p.stat().st_size for p in files if p.is_file()}

    def lines(self) -> list[dict[str, Any]]:
        """All evaluations of the run."""
        return self._lines

    def last(self) -> dict[str, Any]:
        """The latest evaluation."""
        return self._lines[-1] if self._lines else {}

    def progress(self, step: int, total: int, loss: float, doing: str = "") -> None:
        """Show progress, and what else the run is doing, in a terminal, a notebook or a log."""
        if not self.active:
            return
        if self._bar is None:
            self._bar = Bar(total, "steps", place_for(total, "steps"))
            self._bar.skip(step - 1)  # made before this process: they say nothing about the time that is left
        last = self.last()
        part = "validation" if "validation_accuracy" in last else "test"
        seen = last.get(f"{part}_accuracy")
        tested = "" if seen is None else f", {part} accuracy {seen:.1%}"
        self._bar.update(step, doing or f"objective {loss:.3f}{tested}")

    def close(self) -> None:
        """End the progress bar and the event file."""
        if self._bar is not None:
            self._bar.close()
        if self._events is not None:
            with _room(self.out / EVENTS):
                self._events.close()


def append_line(path: Path, line: str) -> None:
    """Append one line to a file and flush it to disk, whole or not at all.

    Raises
    ------
    RunError
        If it cannot be written; the file is left as it was.
    """
    before = path.stat().st_size if path.is_file() else 0
    with _room(path):
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            if path.is_file():
                os.truncate(path, before)
            raise


@contextmanager
def _room(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exception:
        why = exception.strerror or exception
        raise RunError(f"{path}: cannot be written ({why}); make room, then continue with --resume") from None


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
