"""For all tests: where real data lie, and how often garbage is collected."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_finish() -> None:
    """Collect garbage less often: what thousands of tests and their modules keep is not garbage.

    Passing over it again and again took a quarter of the suite's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def real() -> Callable[[str], Path]:
    """A real file by name, from $CORTEX_SIM_DATA or ../shared/data; absent, the test is skipped."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("CORTEX_SIM_DATA", ROOT.parent / "shared" / "data"))
        if not (folder / name).exists():
            pytest.skip(f"no {name} in {folder}; set CORTEX_SIM_DATA to the folder with real data")
        return folder / name

    return find
