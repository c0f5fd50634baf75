"""Which evaluation of a run was the best, and whether to stop: pure functions of its lines of metrics.

They keep no state: a resumed run has the same lines and decides alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_sim.checks import require_known
from cortex_sim.errors import RunError

if TYPE_CHECKING:
    from cortex_sim.training.settings import Settings

Lines = Sequence[Mapping[str, Any]]

NO_VALIDATION = (
    "setting early_stopping: needs a validation part, since the test set must not decide when to stop; hold "
    "back training presentations, such as hold_out=1000"
)
#: Measures by which evaluations are compared; those of the averaged weights need ``ema_decay``.
MEASURES = ("accuracy", "loss", "ema_accuracy", "ema_loss")


def measure_of(lines: Lines, by: str | None, part: str) -> str:
    """Name that measure ``by`` has in the lines; by default the accuracy, or the loss without classes."""
    if by is None:
        by = "loss" if not lines or lines[0].get(f"{part}_accuracy") is None else "accuracy"
    averaged, what = by.startswith("ema_"), by.removeprefix("ema_")
    return f"{'ema_' if averaged else ''}{part}_{what}"


def best(lines: Lines, measure: str) -> int | None:
    """Number of the first line with the best value; None if no line has one."""
    sign = -1 if measure.endswith("_loss") else 1
    known = [(sign * line[measure], -number) for number, line in enumerate(lines) if _known(line, measure)]
    return -max(known)[1] if known else None


def has_stopped(lines: Lines, measure: str, patience: int) -> bool:
    """Whether the last ``patience`` evaluations were no better than one before them."""
    at = best(lines, measure)
    return at is not None and len(lines) - 1 - at >= patience


def _known(line: Mapping[str, Any], measure: str) -> bool:
    return line.get(measure) is not None


def check_choosing(settings: Settings) -> None:
    """Check that evaluations can be compared as the settings say.

    Raises
    ------
    RunError
        If not; the message names the setting.
    """
    patience, by = settings.early_stopping, settings.best_by
    if patience is not None:
        if not settings.hold_out and not Path(settings.data).is_dir():  # a folder may have such a part
            raise RunError(NO_VALIDATION)
        if patience < 1:
            raise RunError(f"setting early_stopping must be at least 1, or null. Got {patience}")
    if by is None:
        return
    require_known("setting best_by", by, dict.fromkeys(MEASURES), RunError)
    if patience is None and not settings.keep_best:
        raise RunError("setting best_by: has no effect alone; add keep_best=true or early_stopping=5")
    if by.startswith("ema_") and settings.ema_decay is None:
        raise RunError(f"setting best_by: {by} is a measure of averaged weights; give ema_decay=0.999 too")
