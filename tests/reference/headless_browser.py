"""A headless Chromium for tests, spoken to over a pipe: sizes, colour schemes, errors, requests, PDF."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def executable():
    """Path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def _pipe():
    """A pipe whose ends are not the two numbers that the browser expects."""
    return [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in os.pipe()]


class Browser:
    """One page at a time, at a chosen width and colour scheme.

    Attributes
    ----------
    errors : list of str
        Errors and warnings of the console, and exceptions, since the page was opened.
    requests : list of str
        Addresses that were fetched, that of the page first; data within it are no requests.
    """

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="browser-")
        ours, theirs = _pipe(), _pipe()  # to it, from it
        flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--disable-gpu",
            f"--user-data-dir={self.profile}",
        ]
        flags += [
            "--no-sandbox",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
        ]

        def place():
            os.dup2(ours[0], 3)
            os.dup2(theirs[1], 4)

        self.process = subprocess.Popen(
            [executable(), *flags, "about:blank"],
            preexec_fn=place,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._to, self._from, self._rest = ours[1], theirs[0], b""
        self._count, self._session, self.errors, self.requests = 0, None, [], []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def close(self):
        """End the process."""
        self.process.terminate()
        self.process.wait(timeout=30)
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, address, width=1280, height=900, dark=False):
        """Load a page, and wait for it."""
        self.errors, self.requests = [], []
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self._loaded = False
        self._call("Page.navigate", url=address)
        while not self._loaded:
            self._read()

    def evaluate(self, script):
        """The value of an expression in the page."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def screenshot(self):
        """The whole page as PNG."""
        return base64.b64decode(
            self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        )

    def printed(self, script):
        """The value of an expression in the page as it is laid out for print."""
        self._call("Emulation.setEmulatedMedia", media="print")
        try:
            return self.evaluate(script)
        finally:
            self._call("Emulation.setEmulatedMedia", media="screen")

    def pdf(self):
        """The page on paper."""
        return base64.b64decode(self._call("Page.printToPDF", printBackground=False)["data"])

    def _call(self, method, **parameters):
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._read()
            if found.get("id") == number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]

    def _read(self):
        while b"\0" not in self._rest:
            more = os.read(self._from, 1 << 20)
            if not more:
                raise RuntimeError("the browser has ended")
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        self._notice(message.get("method", ""), message.get("params", {}))
        return message

    def _notice(self, method, about):
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.errors.append(about["exceptionDetails"]["text"])
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.errors.append(about["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(about["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests += [url for url in [about["request"]["url"]] if not url.startswith("data:")]
