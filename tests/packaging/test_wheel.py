"""The built wheel works on its own: models and protocols inside, training by name, elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import cortex_sim

ROOT = Path(__file__).resolve().parents[2]


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    return next(out.glob("*.whl"))


def trained(python, folder, environment):
    command = ["train", "digits_mlp", "--epochs", "1", "--out", "run", "--json"]
    said = run(python, "-m", "cortex_sim", *command, cwd=folder, env=environment)
    return json.loads(said.splitlines()[-1])


def test_wheel_holds_models_and_protocols_inside_the_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"cortex_sim", next(t for t in tops if t.endswith(".dist-info"))}
    assert {"cortex_sim/models/gait_tower.py", "cortex_sim/protocols/defaults/gait_tower.yaml"} <= set(names)
    assert {"cortex_sim/html_report/report.css", "cortex_sim/html_report/report.html.jinja"} <= set(names)


def test_the_version_to_cite_is_the_package_s():
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert cited and cited[1] == project.get("version", cortex_sim.__version__)


@pytest.mark.slow
def test_sdist_builds_the_same_wheel(wheel, tmp_path):
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, ROOT)
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / packed.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "again", unpacked)
    (again,) = (tmp_path / "again").glob("*.whl")
    contents = [
        {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}
        for archive in map(zipfile.ZipFile, (wheel, again))
    ]
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_unpacked_wheel_trains_a_model_by_name(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    where = run(
        sys.executable, "-c", "import cortex_sim; print(cortex_sim.__file__)", cwd=tmp_path, env=environment
    )
    assert where.startswith(str(tmp_path))
    metrics = trained(sys.executable, tmp_path, environment)
    assert metrics["steps"] > 0 and 0.1 < metrics["test_accuracy"] <= 1


@pytest.mark.slow
def test_wheel_in_a_fresh_environment_with_the_constraints(wheel, tmp_path):
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    metrics = trained(python, tmp_path, environment)
    assert metrics["steps"] > 0 and 0.1 < metrics["test_accuracy"] <= 1
