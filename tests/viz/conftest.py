"""Recordings of two arms, with time bins and settled."""

import pytest
from recorded_arms import recorded


@pytest.fixture
def timed():
    return recorded()


@pytest.fixture
def settled():
    return recorded(timed=False)
