"""Pictures that could not be decoded: named in the log, counted, and named again at the end of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from cortex_sim.checks import counted

_log = logging.getLogger(__name__)
_NAMED = 10


class Unreadable:
    """Names of pictures that could not be read, with the reason; one record for all parts of a set.

    Attributes
    ----------
    reasons : dict of str to str
    quiet : bool
        Whether new names are not logged, as in worker processes: the main process logs theirs.
    """

    def __init__(self, source: str) -> None:
        self.source, self.reasons, self.quiet = source, dict[str, str](), False

    def note(self, found: Mapping[str, str]) -> None:
        """Add what was found, and warn of the first ten."""
        for name, reason in found.items():
            if name in self.reasons:
                continue
            self.reasons[name] = reason
            if not self.quiet and len(self.reasons) <= _NAMED:
                last = "; further ones are only counted" if len(self.reasons) == _NAMED else ""
                _log.warning(
                    "data %s: %s cannot be read (%s); another picture of its class takes its place%s",
                    self.source,
                    name,
                    reason,
                    last,
                )

    def sentence(self) -> str | None:
        """All of them in one sentence; None where there are none."""
        if not self.reasons:
            return None
        names = sorted(self.reasons)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        count = counted(len(names), "picture")
        return (
            f"data {self.source}: {count} could not be read, each replaced by the next of its class: "
            f"{', '.join(names[:_NAMED])}{more}"
        )
