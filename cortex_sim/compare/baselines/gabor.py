"""A bank of Gabor filters as a model of V1: local energy at several scales and orientations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import require_count, require_positive
from cortex_sim.compare.baselines.pixels import BATCH, LUMINANCE, all_of
from cortex_sim.compare.responses import Array, Responses
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError

#: Standard deviation of the envelope, in wavelengths: the amplitude is half the peak half an octave away.
ENVELOPE = np.sqrt(np.log(2) / 2) / np.pi * (2.0 + 1) / (2.0 - 1)
REACH = 3.5  # standard deviations of a filter, in frequency and space, beyond which it counts as 0
SAMPLES = 4  # positions, along each axis, in a cell of the grid


def gabor(
    images: NDArray[Any],
    *,
    cycles: Sequence[float] | None = None,
    orientations: int = 8,
    grid: int = 5,
    visual_degrees: float | None = None,
) -> Array:
    """Energy of quadrature pairs, pooled on a grid, shape (image, cycle · orientation · row · column).

    A filter of frequency f and orientation θ is g(x) = exp(−|x|²/2σ²) (exp(2πi u·x) − c), with
    u = f (cos θ, sin θ), σ = 0.56/f (one octave wide), and c such that a uniform image gives 0; its real and
    imaginary parts are an even and an odd simple cell, and the response of a complex cell is the square root
    of its energy, |I ∗ g|² = (I ∗ Re g)² + (I ∗ Im g)², averaged over a cell of the grid. In frequency,
    ĝ(k) = exp(−2π²σ²|k − u|²) − exp(−2π²σ²(|k|² + |u|²)), with peak 1, so that scales contribute equally for
    natural images, whose amplitude falls as 1/f. Images are first converted to luminance, less its mean,
    and padded with zeros.

    Parameters
    ----------
    images : array of shape (image, channel, y, x) or (image, y, x)
        With 1 or 3 channels.
    cycles : sequence of float, optional
        Frequencies f, in cycles per image height, or per degree where ``visual_degrees`` is given. By
        default spaced by octaves, from 2 cycles per image up to 4 pixels per cycle.
    orientations : int, default 8
        Number of orientations, evenly spaced over 180°.
    grid : int, default 5
        Number of cells along each axis.
    visual_degrees : float, optional
        Height of the images in degrees of visual angle.

    Raises
    ------
    DataError
        If the images have another shape, or are too coarse for a frequency.

    References
    ----------
    Adelson & Bergen (1985), J. Opt. Soc. Am. A 2 (energy of quadrature pairs); Daugman (1985), J. Opt. Soc.
    Am. A 2 (Gabor functions in two dimensions).
    """
    from scipy.fft import fft2

    require_count("gabor", orientations=orientations, grid=grid)
    grey = _luminance(images)
    frequencies = _frequencies(grey.shape[1], cycles, visual_degrees)
    padded = _padded(grey.shape[1:], frequencies[0])
    parts = []
    for start in range(0, len(grey), BATCH):
        spectrum = fft2(grey[start : start + BATCH].astype(np.float32), padded)
        cells = [
            _pooled(spectrum, frequency, np.pi * number / orientations, grid, grey.shape[1:])
            for frequency in frequencies
            for number in range(orientations)
        ]
        parts.append(np.stack(cells, axis=1).reshape(len(spectrum), -1))
    return np.concatenate(parts)


def gabor_responses(stimuli: StimulusSet, **settings: Any) -> Responses:
    """The model ``gabor`` for a set of stimuli; see `gabor` for the settings."""
    assert stimuli.ids is not None
    return Responses("gabor", stimuli.ids, gabor(all_of(stimuli), **settings))


def _luminance(images: NDArray[Any]) -> Array:
    """Luminance, shape (image, y, x), less each image's mean."""
    images = np.asarray(images, dtype=np.float64)
    if images.ndim == 4 and images.shape[1] == 3:
        images = np.einsum("ncyx,c->nyx", images, np.asarray(LUMINANCE))
    elif images.ndim == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if images.ndim != 3 or not len(images):
        raise DataError(
            f"gabor: images must have shape (image, channel, y, x) with 1 or 3 channels, or (image, y, x). "
            f"Got {images.shape}"
        )
    return images - images.mean(axis=(1, 2), keepdims=True)


def _frequencies(height: int, cycles: Sequence[float] | None, degrees: float | None) -> Array:
    """The frequencies in cycles per pixel, ascending."""
    if degrees is not None:
        require_positive("gabor", visual_degrees=degrees)
    if cycles is None:
        octaves = int(np.floor(np.log2(height / 8))) if height >= 8 else -1
        if octaves < 0:
            raise DataError(f"gabor: images {height} pixels high are too small; at least 8 are needed")
        return 2.0 * 2.0 ** np.arange(octaves + 1) / height
    if not len(cycles):
        raise DataError("gabor: cycles is empty; give frequencies, such as (2, 4, 8)")
    require_positive("gabor", **{f"cycles[{i}]": value for i, value in enumerate(cycles)})
    found = np.sort(np.asarray(cycles, dtype=np.float64)) * (degrees or 1.0) / height
    if found[-1] > 1 / 3:
        raise DataError(
            f"gabor: {found[-1] * height:.3g} cycles per image need {3 * found[-1] * height:.0f} pixels; the "
            f"images are {height} pixels high. Leave out frequencies above {height / 3:.3g} cycles per image"
        )
    return found


def _padded(shape: tuple[int, ...], lowest: float) -> tuple[int, int]:
    """Size of the images with zeros around them, so that filters do not reach around the edge."""
    from scipy.fft import next_fast_len

    margin = int(np.ceil(REACH * ENVELOPE / lowest))
    return next_fast_len(shape[0] + margin), next_fast_len(shape[1] + margin)


def _pooled(
    spectrum: NDArray[np.complex64], frequency: float, angle: float, grid: int, shape: tuple[int, ...]
) -> Array:
    """Responses of one filter, shape (image, row, column).

    |I ∗ g| does not change if the spectrum of I ∗ g, which is narrow, is shifted to frequency 0: only the
    part within `REACH` is transformed back, to as many positions as that part, or the grid, needs.
    """
    from scipy.fft import ifft2, next_fast_len

    filtered, centre = spectrum, (frequency * np.sin(angle), frequency * np.cos(angle))
    width = REACH / (2 * np.pi * ENVELOPE / frequency)
    kernel, pools = np.ones((1, 1)), []
    square, scale = np.zeros((1, 1)), 2 * np.pi**2 * (ENVELOPE / frequency) ** 2
    for axis, (size, own) in enumerate(zip(spectrum.shape[1:], shape, strict=True)):
        half = int(np.ceil(width * size))
        bins = np.round(centre[axis] * size).astype(int) + np.arange(-half, half + 1)
        k = bins / size
        along = (-1, 1) if axis == 0 else (1, -1)
        kernel = kernel * np.exp(-scale * (k - centre[axis]) ** 2).reshape(along)
        square = square + (k**2).reshape(along)
        filtered = np.take(filtered, bins % size, axis=axis + 1)
        needed = max(len(bins), int(np.ceil(SAMPLES * grid * size / own)))
        pools.append(_pooling(next_fast_len(needed), size, own, grid))
    kernel = kernel - np.exp(-scale * (square + frequency**2))
    counts = tuple(pool.shape[1] for pool in pools)
    local = ifft2(filtered * kernel.astype(np.float32), counts)
    gain = counts[0] * counts[1] / (spectrum.shape[1] * spectrum.shape[2])
    energy = (local.real**2 + local.imag**2) * gain**2
    return np.sqrt(pools[0] @ energy @ pools[1].T)


def _pooling(count: int, size: int, own: int, grid: int) -> Array:
    """Weights of the mean in each cell, shape (cell, position), of ``count`` positions in ``size`` pixels."""
    at = np.arange(count) * size / count
    inside = (np.floor(at * grid / own) == np.arange(grid)[:, None]) & (at < own)
    return inside / inside.sum(axis=1, keepdims=True)
