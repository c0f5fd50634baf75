"""Paths in settings are absolute, so a run goes on from any folder; names stay names."""

from __future__ import annotations

import numpy as np

from cortex_sim.training.settings import Settings


def test_a_path_becomes_absolute_and_a_name_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "own.npz", x=np.zeros(1))
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "digits").mkdir()  # a folder of this name does not hide the data set
    settings = Settings(model="mine.py:net", data="own.npz")
    assert settings.data == str(tmp_path / "own.npz")
    assert settings.model == f"{tmp_path / 'mine.py'}:net"
    assert Settings(model="digits_mlp", data="digits").data == "digits"
    assert Settings(data="missing.npz").data == "missing.npz"


def test_the_file_of_a_credit_network_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "credit.safetensors").write_bytes(b"")
    assert Settings(credit="credit.safetensors").credit == str(tmp_path / "credit.safetensors")
    assert Settings().credit is None
