"""For all tests: where real data lie, and how often garbage is collected."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


gc.disable()  # while tests are imported: what they are made of is no garbage, and to look at it takes time


def pytest_collection_finish() -> None:
    """Collect garbage less often, and never look at modules and tests again; nor keep brian2's diary.

    Passing over all of it again and again took a quarter of the suite's time.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
    logging.getLogger("brian2").setLevel(logging.INFO)  # below it, thousands of records that nobody reads


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After the last test of a file, collect, and do not look again at what it leaves in caches."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture
def real() -> Callable[[str], Path]:
    """A real file by name, from $CORTEX_SIM_DATA or ../shared/data; absent, the test is skipped."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("CORTEX_SIM_DATA", ROOT.parent / "shared" / "data"))
        if not (folder / name).exists():
            pytest.skip(f"no {name} in {folder}; set CORTEX_SIM_DATA to the folder with real data")
        return folder / name

    return find
