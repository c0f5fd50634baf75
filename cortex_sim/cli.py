"""The command line: ``cortex-sim COMMAND``; also ``python -m cortex_sim``."""

from __future__ import annotations

import os
import sys
from typing import Any

# Threads that busy-wait slow down two processes on shared cores many times; this must be set before
# torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer
from typer.exceptions import TyperException

from cortex_sim.errors import CortexSimError
from cortex_sim.runs import ranks
from cortex_sim.runs.interrupted import STATUS as INTERRUPTED

app = typer.Typer(
    name="cortex-sim",
    help="Simulate how cortex assigns credit: declare a network once, train it, record it.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input becomes one line on standard error and status 2."""
    import logging

    from cortex_sim import commands  # noqa: F401 - importing registers the commands

    logging.basicConfig(level=logging.WARNING, format="cortex-sim: %(message)s")
    given = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    for stream in (sys.stdout, sys.stderr):  # a character missing from the locale must not end the program
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    unreadable = [word for word in given if not word.isascii() and _undecoded(word)]
    if unreadable:
        return _fail(
            f"{unreadable[0]!a}: this terminal's locale cannot represent it; set PYTHONUTF8=1 or "
            "LC_ALL=C.UTF-8, then try again",
            2,
        )
    try:
        status = app(given, prog_name="cortex-sim", standalone_mode=False)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort:
        return _fail("interrupted", INTERRUPTED)
    except TyperException as exception:
        return _fail(getattr(exception, "format_message", exception.__str__)(), 2)
    except CortexSimError as exception:
        return _fail(str(exception), 2, said=getattr(exception, "said_by_the_first", False))
    except OSError as exception:
        return _fail(f"{exception.filename or 'a file'}: {exception.strerror or exception}", 2)
    if status == INTERRUPTED:  # typer's exception for Ctrl-C
        way = "; continue with --resume" if _resumes(given[0]) else ""
        return _fail(f"interrupted{way}", INTERRUPTED)
    return status if isinstance(status, int) else 0


def _resumes(command: str) -> bool:
    """Whether an interrupted command can be continued with ``--resume``."""
    known: Any = typer.main.get_command(app)
    return any(option.name == "resume" for option in known.commands[command].params)


def _undecoded(word: str) -> bool:
    """Whether a word contains bytes that Python could not decode in this locale."""
    return any("\udc80" <= letter <= "\udcff" for letter in word)


def _fail(message: str, status: int, said: bool = False) -> int:
    """Print the message; if several processes meet the same error, only one prints it."""
    rank = ranks.rank()
    ranks.leave(f"cortex-sim: {' '.join(message.split())}")
    if not said and ranks.has_to_say(message):
        whose = f"rank {rank}: " if rank else ""
        print(f"cortex-sim: {whose}{' '.join(message.split())}", file=sys.stderr, flush=True)
    return status
