"""brian2's messages: its banner for errors that are not its own, and its debug files.

On import brian2 replaces ``sys.excepthook``: any uncaught error, a misspelt name in the user's script
included, is then announced as "Brian 2 encountered an unexpected error", and Ctrl-C says nothing at all.
It also writes a log and a copy of the script to the folder for temporary files, and leaves them there after
an error or a kill. Where cortex-sim loads brian2, the announcement is kept for errors that arise within
brian2, and the files are closed and removed. A script that imports brian2 before cortex-sim keeps everything.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_loaded_by_user = "brian2" in sys.modules
_before = sys.excepthook

import brian2  # noqa: E402 - what was there before it has to be known
from brian2.utils import logger as brian2_logger  # noqa: E402

from cortex_sim.errors import CortexSimError  # noqa: E402

_HOME = os.path.dirname(brian2.__file__) + os.sep
Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


def settle() -> None:
    """Limit brian2's messages as above, once; does nothing where the user has already loaded brian2."""
    if _loaded_by_user or sys.excepthook is not brian2_logger.brian_excepthook:
        return
    sys.excepthook = _hook(_before, brian2_logger.brian_excepthook)
    _remove_files()


def _hook(before: Hook, of_brian2: Hook) -> Hook:
    """Hook for uncaught errors: brian2's for errors within brian2, the previous one for all others."""

    def excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        own = arose_in_brian2(traceback) and not isinstance(error, (CortexSimError, KeyboardInterrupt))
        (of_brian2 if own else before)(kind, error, traceback)

    return excepthook


def arose_in_brian2(traceback: TracebackType | None) -> bool:
    """Whether the innermost frame of an error is brian2's."""
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return os.path.abspath(traceback.tb_frame.f_code.co_filename).startswith(_HOME)


def _remove_files() -> None:
    """Close brian2's log file and remove it and the copy of the script."""
    state = brian2_logger.BrianLogger
    if state.file_handler is not None:
        logging.getLogger("brian2").removeHandler(state.file_handler)
        logging.getLogger("py.warnings").removeHandler(state.file_handler)
        state.file_handler.close()
        state.file_handler = logging.NullHandler()  # brian2 adds filters to whatever is there
    for name in (state.tmp_log, state.tmp_script):
        if name is not None:
            Path(name).unlink(missing_ok=True)
    state.tmp_log = state.tmp_script = None
