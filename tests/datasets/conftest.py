"""Small sets that every test here may use."""

from __future__ import annotations

import numpy as np
import pytest


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
