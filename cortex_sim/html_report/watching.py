"""The report of ongoing runs, for a browser on this machine: made again when their files change."""

from __future__ import annotations

import html
import re
import secrets
import sys
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.html_report.document import POLICY, page
from cortex_sim.html_report.reading import COMPARED, found
from cortex_sim.runs.directory import METRICS, RUN, seen_held
from cortex_sim.runs.log import JSONL

ADDRESS = "127.0.0.1"  # of this machine alone
_FILES = (RUN, JSONL, METRICS, COMPARED)
_NAMES = {ADDRESS, "localhost"}  # by which a browser may ask: a page elsewhere cannot point its own name here
_SCRIPT = """<script nonce="{nonce}">
setInterval(async () => {{
  try {{
    const now = await (await fetch("version", {{cache: "no-store"}})).text();
    if (now !== "{version}") location.reload();
  }} catch {{
    document.querySelector(".kind").textContent = "cortex-sim report, no longer updated";
  }}
}}, 2000);
</script>"""
_BROKEN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>cortex-sim report</title>
<meta http-equiv="Content-Security-Policy" content="{policy}"><link rel="icon" href="data:,">
<p class="kind">cortex-sim report</p><p>{said}</p>{script}</html>
"""


class Watched:
    """The page of some subjects, kept until their files change.

    Parameters
    ----------
    given : sequence of (name or None, path)
        As for `cortex_sim.html_report.reading.found`.
    """

    def __init__(self, given: Sequence[tuple[str | None, str]]) -> None:
        self._given = list(given)
        self._lock = Lock()
        self._version, self._text = "", ""

    def version(self) -> str:
        """Digest of sizes and times of the files from which the page is made."""
        seen = blake2b(digest_size=8)
        for _, place in self._given:
            for path in (Path(place), *(Path(place) / name for name in _FILES)):
                if path.is_file():
                    about = path.stat()
                    seen.update(f"{path} {about.st_size} {about.st_mtime_ns} ".encode())
            seen.update(str(seen_held(Path(place))).encode())
        return seen.hexdigest()

    def page(self) -> str:
        """The page as of now; while a run's files cannot be read, one that says so."""
        with self._lock:
            version = self.version()
            if version != self._version:
                self._text = self._made(version)
                self._version = version
            return self._text

    def _made(self, version: str) -> str:
        nonce = secrets.token_urlsafe(16)
        script = _SCRIPT.format(nonce=nonce, version=version)
        policy = f"{POLICY}; script-src 'nonce-{nonce}'; connect-src 'self'"
        try:
            return page(found(self._given), script=script, policy=policy)
        except (CortexSimError, OSError) as exception:
            said = html.escape(f"{exception}. The page comes back when this can be read.")
            return _BROKEN.format(policy=policy, said=said, script=script)


class _Answers(BaseHTTPRequestHandler):
    """GET of the page and of its version; nothing else."""

    def __init__(self, watched: Watched, *given: Any) -> None:
        self._watched = watched
        super().__init__(*given)

    def do_GET(self) -> None:
        host = self.headers.get("Host", "")
        if re.sub(r":\d*$", "", host).lower() not in _NAMES:
            self.send_error(HTTPStatus.FORBIDDEN)
        elif self.path == "/":
            self._send(self._watched.page(), "text/html")
        elif self.path == "/version":
            self._send(self._watched.version(), "text/plain")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, text: str, kind: str) -> None:
        content = text.encode("utf-8")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log single requests."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closed the connection before its answer is not an error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(given: Sequence[tuple[str | None, str]], port: int) -> ThreadingHTTPServer:
    """A server of the subjects' page, not started yet: ``serve_forever()`` starts it.

    Parameters
    ----------
    given : sequence of (name or None, path)
    port : int
        0 for any free one.

    Raises
    ------
    RunError
        If a subject cannot be reported, or the port is taken.
    """
    found(given)  # refused now, not in the browser
    try:
        return _Server((ADDRESS, port), partial(_Answers, Watched(given)))
    except (OSError, OverflowError) as exception:
        why = getattr(exception, "strerror", None) or exception
        raise RunError(
            f"watch: port {port} cannot be used ({why}); give another --port, or 0 for any free one"
        ) from None
