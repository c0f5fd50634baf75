"""Where real data lie, for every test that can use some."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def real() -> Callable[[str], Path]:
    """A real file by name, from $CORTEX_SIM_DATA or ../shared/data; absent, the test is skipped."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("CORTEX_SIM_DATA", ROOT.parent / "shared" / "data"))
        if not (folder / name).exists():
            pytest.skip(f"no {name} in {folder}; set CORTEX_SIM_DATA to the folder with real data")
        return folder / name

    return find
