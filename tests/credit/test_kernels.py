"""Diffusion kernels: rows of length 1, and what each is known for."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_sim.credit import (
    Block,
    CoarseMap,
    Line,
    Modulo,
    NoDiffusion,
    Ring,
    Scattered,
    Sheet,
    diffusion,
)
from cortex_sim.errors import DeclarationError

KERNELS = [Line(), Ring(), Sheet(), Block(), Modulo(), Scattered(), CoarseMap(), Ring(2.0), Line(0.2)]
every_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=repr)


def rng():
    return np.random.default_rng(0)


@every_kernel
@settings(max_examples=10, deadline=None)
@given(units=st.integers(1, 40), channels=st.integers(1, 12), signs=st.booleans())
def test_rows_have_length_one(kernel, units, channels, signs):
    d = diffusion(kernel, (units,), channels, rng(), signs)
    assert d.shape == (units, channels)
    np.testing.assert_allclose(np.linalg.norm(d, axis=1), 1.0)


def bell(distance, width):
    return math.exp(-(distance**2) / (2 * width**2))


@settings(max_examples=10, deadline=None)
@given(units=st.integers(1, 20), channels=st.integers(1, 8), width=st.floats(0.2, 3.0))
def test_line_and_ring_equal_a_loop(units, channels, width):
    line, ring = np.zeros((units, channels)), np.zeros((units, channels))
    for i in range(units):
        for k in range(channels):
            apart = abs((i + 0.5) / units - (k + 0.5) / channels)
            line[i, k] = bell(channels * apart, width)
            ring[i, k] = bell(channels * min(apart, 1 - apart), width)
    for kernel, expected in ((Line(width), line), (Ring(width), ring)):
        expected = expected / np.sqrt((expected**2).sum(1, keepdims=True))
        np.testing.assert_allclose(diffusion(kernel, (units,), channels, rng()), expected, atol=1e-12)


def test_a_ring_is_circulant_and_a_line_is_not():
    d = diffusion(Ring(), (12,), 4, rng())
    np.testing.assert_allclose(np.roll(d, (3, 1), axis=(0, 1)), d, atol=1e-12)
    line = diffusion(Line(1.0), (12,), 4, rng())
    assert np.abs(np.roll(line, (3, 1), axis=(0, 1)) - line).max() > 0.01


def test_a_sheet_has_neighbours_in_two_directions():
    d = diffusion(Sheet(), (16,), 4, rng()).reshape(4, 4, 4)
    np.testing.assert_allclose(d.transpose(1, 0, 2), d[:, :, [0, 2, 1, 3]], atol=1e-12)  # rows are columns
    assert d[0, 0].argmax() == 0 and d[0, 3].argmax() == 1 and d[3, 0].argmax() == 2


def test_block_is_modulo_with_units_in_another_order():
    block, modulo = (diffusion(kernel, (12,), 4, rng()) for kernel in (Block(), Modulo()))
    order = np.argsort(np.arange(12) % 4, kind="stable")
    np.testing.assert_array_equal(modulo[order], block)
    np.testing.assert_array_equal(modulo.argmax(1), np.arange(12) % 4)


@pytest.mark.parametrize("shape", [(6, 4, 5), (3, 7, 2), (5, 1, 1)])
@pytest.mark.parametrize("grid", [1, 2, 3])
def test_a_coarse_map_equals_a_loop(shape, grid):
    maps = 3
    kernel, channels = CoarseMap(grid, 0.7), maps * grid**2
    expected = np.zeros((*shape, maps, grid, grid))

    def near(position, count, place):
        """Linear between places; beyond the outermost, that one alone."""
        at = min(max((position + 0.5) / count * grid - 0.5, 0), grid - 1)
        return max(0.0, 1 - abs(at - place))

    for c, i, j, m, k, n in np.ndindex(*expected.shape):
        apart = abs((c + 0.5) / shape[0] - (m + 0.5) / maps)
        weight = bell(maps * min(apart, 1 - apart), 0.7)
        expected[c, i, j, m, k, n] = weight * near(i, shape[1], k) * near(j, shape[2], n)
    expected = expected.reshape(math.prod(shape), channels)
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(diffusion(kernel, shape, channels, rng()), expected, atol=1e-12)


def test_signs_turn_whole_rows():
    plain, signed = (diffusion(Ring(), (50,), 4, rng(), signs) for signs in (False, True))
    np.testing.assert_allclose(abs(signed), plain)
    turned = np.sign(signed.sum(1))
    assert set(turned) == {-1.0, 1.0}
    np.testing.assert_allclose(signed, turned[:, None] * plain)


def test_without_diffusion_every_unit_has_its_channel():
    np.testing.assert_array_equal(diffusion(NoDiffusion(), (2, 3, 1), 6, rng()), np.eye(6))


@pytest.mark.parametrize(
    "kernel, shape, channels, message",
    [
        (NoDiffusion(), (5,), 4, "4 channels for 5 units"),
        (CoarseMap(2), (3, 4, 4), 6, "not a whole number of maps of 4 places; use a multiple of 4"),
        (Ring(), (5,), 0, "channels must be a whole number"),
    ],
)
def test_a_kernel_that_does_not_fit_is_refused(kernel, shape, channels, message):
    with pytest.raises(DeclarationError, match=message):
        diffusion(kernel, shape, channels, rng())


@pytest.mark.parametrize("kernel", [Line, Ring, Sheet])
def test_width_must_be_positive(kernel):
    with pytest.raises(DeclarationError, match="width must be a positive number"):
        kernel(0.0)


@pytest.mark.parametrize("kernel", [Line, Ring, Sheet])
@pytest.mark.parametrize("width", [1e-1, 1e-2, 1e-3, 1e-200])
def test_the_narrowest_kernel_brings_the_nearest_channel(kernel, width, caplog):
    d = diffusion(kernel(width), (23,), 5, rng())
    np.testing.assert_allclose(np.linalg.norm(d, axis=1), 1.0)
    if width < 1e-1:
        assert "units receive only their nearest channel" in caplog.text
        np.testing.assert_array_equal(d.argmax(1), diffusion(kernel(0.1), (23,), 5, rng()).argmax(1))


def test_a_kernel_that_leaves_a_unit_without_credit_is_refused():
    class Deaf:
        def weights(self, shape, channels, rng):
            return np.eye(channels)[np.arange(shape[0]) % channels] * (np.arange(shape[0]) > 0)[:, None]

    with pytest.raises(DeclarationError, match="brings no credit to 1 of 7 units"):
        diffusion(Deaf(), (7,), 3, rng())
