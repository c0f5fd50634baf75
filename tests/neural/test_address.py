"""FILE:KEY names one array; existing files whose names contain colons come first."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex_sim.errors import DataError
from cortex_sim.neural.address import Address, address


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("rec.nc", "a:b.npz", "plain", "two.npz", "two.npz:x"):
        Path(name).write_bytes(b"")
    Path("sub:dir").mkdir()
    Path("sub:dir/v4.npz").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    "text, file, key",
    [
        ("rec.nc", "rec.nc", None),
        ("rec.nc:rate", "rec.nc", "rate"),
        ("rec.nc:weight:V1->IT", "rec.nc", "weight:V1->IT"),
        ("rec.nc:processing/behavior/x", "rec.nc", "processing/behavior/x"),
        ("a:b.npz", "a:b.npz", None),
        ("a:b.npz:response", "a:b.npz", "response"),
        ("plain:k", "plain", "k"),
        ("two.npz:x", "two.npz:x", None),  # an existing file wins over a key
        ("two.npz:y", "two.npz", "y"),
        ("two.npz:x:y", "two.npz:x", "y"),  # as does the longest existing name
        ("sub:dir/v4.npz", "sub:dir/v4.npz", None),
        ("sub:dir/v4.npz:response", "sub:dir/v4.npz", "response"),
        ("sub:dir", "sub:dir", None),
    ],
)
def test_a_text_is_cut_where_something_exists(here, text, file, key):
    assert address(text) == Address(Path(file), key)
    assert address(Path(text)) == Address(Path(file), key)
    assert str(address(text)) == text


def test_the_home_folder_is_expanded(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert address("~/rec.nc:rate") == Address(here / "rec.nc", "rate")


@pytest.mark.parametrize(
    "text, file",
    [
        ("missing.npz:response", "missing.npz"),
        ("C:\\data\\missing.npz:response", "C:\\data\\missing.npz"),
        ("C:\\data\\missing.npz", "C:\\data\\missing.npz"),
        ("C:/data/missing.npz:a:b", "C:/data/missing.npz"),
        ("nothing", "nothing"),
    ],
)
def test_what_is_missing_is_named_without_the_key(here, text, file):
    with pytest.raises(DataError) as caught:
        address(text)
    assert str(caught.value) == (
        f"neural data {text}: no file or folder {file}; give the path of one, or FILE:KEY"
    )


def test_the_colon_of_a_drive_is_not_a_key(here):
    Path("C").write_bytes(b"")
    with pytest.raises(DataError, match="no file or folder"):
        address("C:\\data\\v4.npz")
    assert address("C:data") == Address(Path("C"), "data")


@pytest.mark.parametrize("wrong", [3, None, "", "rec.nc:", "a\0b"])
def test_what_names_nothing_is_refused(here, wrong):
    with pytest.raises(DataError):
        address(wrong)
