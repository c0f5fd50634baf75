"""Where real data lie, and small sets that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def real() -> Callable[[str], Path]:
    """A real file by name, from $CORTEX_SIM_DATA or ../shared/data; absent, the test is skipped."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("CORTEX_SIM_DATA", ROOT.parent / "shared" / "data"))
        if not (folder / name).exists():
            pytest.skip(f"no {name} in {folder}; set CORTEX_SIM_DATA to the folder with real data")
        return folder / name

    return find


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """A tiny valid set; sizes are distinct primes, so a transposed axis cannot pass."""
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (11, 5, 7), dtype=np.uint8),
        "y_train": np.arange(11) % 3,
        "x_test": rng.integers(0, 256, (2, 5, 7), dtype=np.uint8),
        "y_test": np.array([2, 0]),
    }
