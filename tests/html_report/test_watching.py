"""``cortex-sim watch``: the page follows a run's files, asks for nothing else, and ends with Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest
from headless_browser import Browser, executable
from html_tables import Parsed

import cortex_sim
from cortex_sim.cli import main
from cortex_sim.html_report.watching import ADDRESS, server

from .conftest import LINES

SHOWN = "document.body?.innerText ?? ''"


@pytest.fixture
def served(make):
    """A run in its first epoch, and the port at which it is watched."""
    folder = make("going", lines=LINES[:1], metrics=False, checkpoint=False)
    with server([("GAIT", "going")], 0) as serving:
        thread = Thread(target=serving.serve_forever)
        thread.start()
        yield folder, serving.server_port
        serving.shutdown()
        thread.join()


def get(port, path="/", host=None):
    connection = HTTPConnection(ADDRESS, port, timeout=60)
    connection.request("GET", path, headers={"Host": host or f"localhost:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def append(folder, line):
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def test_the_page_follows_the_run(served):
    folder, port = served
    status, text = get(port)
    version = get(port, "/version")[1]
    assert status == 200 and f'"{version}"' in text
    assert "epoch 0 of 2" in Parsed(text).tables["Training runs"]["status"][0][0]
    assert get(port)[1] == text and get(port, "/version")[1] == version
    append(folder, LINES[1])
    assert get(port, "/version")[1] != version
    assert "epoch 1 of 2" in Parsed(get(port)[1]).tables["Training runs"]["status"][0][0]
    assert {path.name for path in folder.iterdir()} == {"metrics.jsonl", "run.yaml"}


def test_the_page_comes_back_after_what_could_not_be_read(served):
    folder, port = served
    (folder / "run.yaml").rename(folder / "away.yaml")
    status, text = get(port)
    assert status == 200 and "going: holds no run" in text and "location.reload" in text
    (folder / "away.yaml").rename(folder / "run.yaml")
    assert "GAIT" in Parsed(get(port)[1]).columns["Training runs"]


def test_nothing_else_is_answered(served):
    _, port = served
    assert get(port, "/going/run.yaml")[0] == get(port, "/../going/run.yaml")[0] == 404
    assert get(port, "/version", host=f"elsewhere.example:{port}")[0] == 403
    assert get(port, "/version", host="[")[0] == 403
    assert get(port, "/version", host="localhost:9")[0] == 200  # forwarded from another port


def test_a_port_in_use_and_no_run_are_refused(served, capsys):
    _, port = served
    for line, said in {
        f"watch going --port {port}": f"watch: port {port} cannot be used",
        "watch nope": "nope: no such file or folder",
        "watch going --port 70000": "--port",
    }.items():
        assert main(line.split()) == 2
        out = capsys.readouterr()
        assert said in out.err and out.err.count("\n") == 1 and out.out == ""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_it(make):
    make("going", lines=LINES[:1], metrics=False, checkpoint=False)
    place = os.environ | {"PYTHONPATH": str(Path(cortex_sim.__file__).parents[1])}
    command = [sys.executable, "-m", "cortex_sim", "watch", "going", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=place
    ) as watching:
        port = int(re.search(r":(\d+)/ follows going", watching.stdout.readline())[1])
        assert get(port)[0] == 200
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=60)
    assert (watching.returncode, out, err) == (0, "", "no longer watching; the runs continue\n")


@pytest.mark.slow
@pytest.mark.skipif(executable() is None, reason="no Chromium; apt-get install chromium")
def test_a_browser_shows_what_is_new(served):
    folder, port = served
    browser = Browser()
    try:
        browser.open(f"http://{ADDRESS}:{port}/", width=390)
        assert "epoch 0 of 2" in browser.evaluate(SHOWN)
        append(folder, LINES[1])
        end = time.monotonic() + 60
        while "epoch 1 of 2" not in browser.evaluate(SHOWN):
            assert time.monotonic() < end
            time.sleep(0.5)
        assert browser.errors == []
        asked = {url.removeprefix(f"http://{ADDRESS}:{port}") for url in browser.requests}
        assert asked == {"/", "/version"}
    finally:
        browser.close()
