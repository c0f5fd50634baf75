"""The Gabor bank equals a convolution in space, and is tuned as complex cells are; pixels are pixels."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from cortex_sim.compare.baselines import gabor, gabor_responses, pixel_responses
from cortex_sim.data import StimulusSet
from cortex_sim.errors import CortexSimError, DataError


def grating(cycles, angle, phase=0.0, size=64, contrast=0.5):
    y, x = np.mgrid[:size, :size] / size
    return 0.5 + contrast * np.cos(2 * np.pi * cycles * (np.cos(angle) * x + np.sin(angle) * y) + phase) / 2


def in_space(image, cycles, angle, grid):
    """The equations, by a convolution with the kernel written in pixels."""
    size, reach = len(image), 60
    f = cycles / size
    sigma = 0.5622 / f
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    envelope = np.exp(-(x**2 + y**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    wave = np.exp(2j * np.pi * f * (np.cos(angle) * x + np.sin(angle) * y))
    kernel = envelope * (wave - (envelope * wave).sum() / envelope.sum())
    energy = np.abs(fftconvolve(np.pad(image - image.mean(), reach), kernel, mode="same")) ** 2
    inside = energy[reach:-reach, reach:-reach]
    return np.sqrt(inside.reshape(grid, size // grid, grid, size // grid).mean(axis=(1, 3)))


@pytest.mark.parametrize("cycles", [3, 5])
def test_equals_a_convolution_in_space(monkeypatch, cycles):
    import importlib

    module = importlib.import_module("cortex_sim.compare.baselines.gabor")
    monkeypatch.setattr(module, "SAMPLES", 8)  # as many positions as pixels, so that averages are the same
    monkeypatch.setattr(module, "REACH", 6.0)
    image = np.random.default_rng(0).random((1, 24, 24))
    found = gabor(image, cycles=[cycles], orientations=5, grid=3).reshape(5, 3, 3)
    for number in range(5):
        expected = in_space(image[0], cycles, np.pi * number / 5, 3)
        np.testing.assert_allclose(found[number], expected, rtol=2e-3)


def test_filters_do_not_respond_to_the_mean(monkeypatch):
    """To a wide, smooth spot, in its middle; without the constant c they would respond a quarter more."""
    import importlib

    module = importlib.import_module("cortex_sim.compare.baselines.gabor")
    monkeypatch.setattr(module, "SAMPLES", 16)
    monkeypatch.setattr(module, "REACH", 6.0)
    y, x = np.mgrid[:64, :64] - 31.5
    spot = np.exp(-(x**2 + y**2) / (2 * 12.0**2))
    found = gabor(spot[None], cycles=[8], orientations=1, grid=4).reshape(4, 4)
    expected = in_space(spot, 8, 0.0, 4)
    np.testing.assert_allclose(found[1:3, 1:3], expected[1:3, 1:3], rtol=0.02)


def test_by_default_close_to_a_convolution_in_space():
    image = np.random.default_rng(0).random((1, 40, 40))
    found = gabor(image, cycles=[4], orientations=2, grid=2).reshape(2, 2, 2)
    for number in range(2):
        np.testing.assert_allclose(found[number], in_space(image[0], 4, np.pi * number / 2, 2), rtol=0.1)


def test_tuned_to_frequency_and_orientation():
    """Features are (cycle, orientation, row, column); a grating drives its own filter most."""
    frequencies, angles = (4, 8, 16), np.pi * np.arange(6) / 6
    for c, a in [(0, 1), (1, 4), (2, 0)]:
        features = gabor(grating(frequencies[c], angles[a])[None], cycles=frequencies, orientations=6, grid=4)
        middle = features.reshape(3, 6, 4, 4)[:, :, 1:3, 1:3].mean(axis=(2, 3))
        assert np.unravel_index(middle.argmax(), middle.shape) == (c, a)
        assert middle[c, a] > 2 * np.delete(middle.ravel(), c * 6 + a).max()
        assert middle[c, a] == pytest.approx(0.125, rel=0.05)  # half the amplitude: ĝ has height 1


def test_energy_does_not_depend_on_phase_but_pixels_do():
    images = np.stack([grating(8, 0.5, phase) for phase in (0, np.pi / 2, np.pi)])
    features = gabor(images, cycles=[8], orientations=6, grid=2)
    np.testing.assert_allclose(features, np.tile(features[:1], (3, 1)), rtol=0.05, atol=1e-3)


def test_brightness_is_ignored_and_contrast_scales():
    image = np.random.default_rng(1).random((1, 32, 32))
    features = gabor(image)
    np.testing.assert_allclose(gabor(image + 0.3), features, rtol=1e-4)
    np.testing.assert_allclose(gabor(image * 0.25), features / 4, rtol=1e-4)
    np.testing.assert_allclose(gabor(np.full((2, 32, 32), 0.7)), 0, atol=1e-6)


def test_shapes_and_luminance():
    images = np.random.default_rng(2).random((3, 3, 32, 40))
    features = gabor(images)
    assert features.shape == (3, 3 * 8 * 25)  # octaves 2, 4, 8
    grey = np.tensordot(images, [0.299, 0.587, 0.114], (1, 0))
    np.testing.assert_allclose(gabor(grey), features, rtol=1e-4)
    np.testing.assert_allclose(gabor(grey[:, None]), features, rtol=1e-4)


def test_frequencies_may_be_given_in_cycles_per_degree():
    images = np.random.default_rng(3).random((2, 32, 32))
    np.testing.assert_allclose(
        gabor(images, cycles=[0.5, 1.0], visual_degrees=8.0), gabor(images, cycles=[4, 8]), rtol=1e-6
    )


def test_responses_of_stimuli():
    x = (np.random.default_rng(4).random((5, 3, 16, 16)) * 255).astype(np.uint8)
    stimuli = StimulusSet(x, ids=list("abcde"))
    pixels, filtered = pixel_responses(stimuli), gabor_responses(stimuli, grid=2)
    assert pixels.name == "pixels" and filtered.name == "gabor"
    assert pixels.stimuli == filtered.stimuli == tuple("abcde")
    np.testing.assert_allclose(pixels.values, x.reshape(5, -1) / 255, rtol=1e-6)
    np.testing.assert_allclose(filtered.values, gabor(x / 255, grid=2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "shape, settings, wrong",
    [
        ((2, 5, 16, 16), {}, "1 or 3 channels"),
        ((2, 64), {}, "images must have shape"),
        ((2, 6, 6), {}, "6 pixels high are too small"),
        ((2, 16, 16), {"cycles": [2, 8]}, "8 cycles per image need 24 pixels"),
        ((2, 16, 16), {"cycles": []}, "cycles is empty"),
        ((2, 16, 16), {"cycles": [-1]}, "must be a positive number"),
        ((2, 16, 16), {"visual_degrees": 0}, "visual_degrees must be a positive number"),
        ((2, 16, 16), {"grid": 0}, "grid must be a whole number"),
    ],
)
def test_what_cannot_be_filtered_is_refused(shape, settings, wrong):
    with pytest.raises((DataError, CortexSimError), match=wrong):
        gabor(np.zeros(shape), **settings)
