"""Small sets that every test here may use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from painted_pictures import painted, sharded


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures that no test changes."""
    return painted(tmp_path_factory.mktemp("pictures") / "set")


@pytest.fixture(scope="module")
def shards(folder: Path) -> Path:
    """The same in shards."""
    return sharded(folder, folder.parent / "shards")


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """A folder of pictures that a test may spoil."""
    return painted(tmp_path / "set")
