"""`load` finds the reader; names and paths that lead nowhere get an answer that helps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cortex_sim import data
from cortex_sim.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def test_names_are_loadable():
    assert "digits" in data.names()
    assert data.load("digits").name == "digits"


def test_path_of_an_npz_as_text_or_path(tmp_path, arrays):
    np.savez(tmp_path / "tiny.npz", **arrays)
    assert data.load(tmp_path / "tiny.npz").name == "tiny"
    assert data.load(str(tmp_path / "tiny.npz")).name == "tiny"


def test_home_is_expanded(tmp_path, arrays, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "tiny.npz", **arrays)
    assert data.load("~/tiny.npz").name == "tiny"


def test_name_as_path_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    assert data.load("digits").name == "digits"
    with pytest.raises(DataError, match="data digits: has no folder train"):
        data.load(Path("digits"))


@pytest.mark.parametrize(
    ("files", "reader"),
    [
        (["train-images-idx3-ubyte"], "idx"),
        (["emnist-letters-train-images-idx3-ubyte.gz", "train/cat/1.png"], "idx"),
        (["train/cat/1.png"], "image_folder"),
    ],
)
def test_folders_are_told_apart(files, reader, tmp_path):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert next(name for name, r in data.READERS.items() if r.recognises(tmp_path)) == reader


def test_archives_are_told_apart(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez(tmp_path / "b.npz", jpeg=np.zeros(3, np.uint8))
    found = [
        next(name for name, r in data.READERS.items() if r.recognises(tmp_path / file))
        for file in ("a.npz", "b.npz")
    ]
    assert found == ["npz", "jpeg_bytes"]


def test_options_reach_the_reader(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        Image.new("L", (2, 3)).save(tmp_path / part / "a/1.png")
    seen = []
    data.load(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 2)]
    with pytest.raises(DataError, match="would take"):
        data.load(tmp_path, max_bytes=10)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "digit",
            r"unknown data 'digit' \(did you mean 'digits'\?\); known: cifar10, digits, fashion_mnist, mnist",
        ),
        ("", "unknown data ''"),
        ("nowhere.npz", "data nowhere.npz: no such file or folder"),
        ("no/where", "data no/where: no such file or folder"),
        (Path("nowhere"), "data nowhere: no such file or folder"),
        (3, "data must be a name or a path. Got 3"),
        (None, "data must be a name or a path. Got None"),
        (__file__, "test_load.py: not in an accepted form"),
    ],
)
def test_errors_list_names_and_forms(wrong, message):
    with pytest.raises(DataError, match=message) as caught:
        data.load(wrong)
    for form in ("digits", "x_train, y_train", "jpeg, offset", "idx3-ubyte", "train/CLASS/"):
        assert form in str(caught.value)


def test_a_name_that_no_file_can_have_is_said():
    with pytest.raises(DataError, match=r"data '\\x00': no file can have this name"):
        data.load("\0")


def test_damaged_archive_is_a_data_error(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\3\4 and nothing else")
    with pytest.raises(DataError, match="not a readable .npz archive"):
        data.load(tmp_path / "a.npz")


def test_importing_is_light():
    heavy = ["torch", "brian2", "sklearn", "PIL"]
    program = f"import sys, cortex_sim.data; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
