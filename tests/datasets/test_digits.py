"""The embedded digits: the same for everyone, every class with its share."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from cortex_sim.data import digits
from cortex_sim.errors import DataError


def test_split():
    images = digits()
    assert images.x_train.shape == (1500, 64) and images.x_test.shape == (297, 64)
    assert images.x_train.min() == 0 and images.x_train.max() == 1
    assert images.classes == tuple("0123456789")
    share = np.bincount(images.y_test) / np.bincount(images.y_train)
    np.testing.assert_allclose(share, 297 / 1500, atol=0.01)


def test_every_digit_is_in_exactly_one_set_with_its_label():
    images, bunch = digits(seed=3), load_digits()
    x = np.concatenate([images.x_train, images.x_test]) * 16
    y = np.concatenate([images.y_train, images.y_test])
    got = sorted((*row, label) for row, label in zip(x.tolist(), y.tolist(), strict=True))
    published = zip(bunch.data.tolist(), bunch.target.tolist(), strict=True)
    assert got == sorted((*row, label) for row, label in published)


def test_seed_decides():
    np.testing.assert_array_equal(digits(seed=1).x_test, digits(seed=1).x_test)
    assert (digits(seed=1).x_test != digits(seed=2).x_test).any()


def test_default_split_is_pinned():
    """Accuracies are compared across versions, so the default split must never move.

    Golden: sha256 of digits().x_test's bytes, scikit-learn 1.9.1, numpy 2.3.5, exact.
    """
    assert hashlib.sha256(digits().x_test.tobytes()).hexdigest()[:16] == "4352ac836ba87a56"


@pytest.mark.parametrize("seed", [-1, 2**32, None, 1.5])
def test_refuses_what_is_no_seed(seed):
    with pytest.raises(DataError, match="data digits: seed must be a whole number"):
        digits(seed=seed)
