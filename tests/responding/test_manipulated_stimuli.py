"""Contrast, brightness and size of stimuli reach the network: they pass through its own preprocessing."""

import numpy as np
import pytest
from PIL import Image

import cortex_sim as cs
from cortex_sim.data import StimulusSet
from cortex_sim.data.fitting import View
from cortex_sim.recording import select
from cortex_sim.responding import respond_to


@pytest.fixture
def mean_and_sd(images):
    """Of the training set, per channel, by numpy alone."""
    x = images.x_train.astype(np.float64)
    return x.mean((0, 2, 3))[:, None, None], x.std((0, 2, 3))[:, None, None]


@pytest.fixture
def drive_of(run):
    """Drive of V1, without its bias; (presentation, channel, row, column)."""
    bias = cs.load(run).biases["V1"]

    def respond(x, **how):
        recorded = select(respond_to(run, StimulusSet(x), **how), population="V1")
        return recorded.drive.values.reshape(-1, 2, 6, 6) - bias[:, None, None]

    return respond


def convolved(kernel, x):
    """3 x 3 cross-correlation with a border of zeros, one output at a time."""
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    out = np.zeros((len(x), len(kernel), *x.shape[2:]))
    for row, column in np.ndindex(*x.shape[2:]):
        window = padded[:, :, row : row + 3, column : column + 3]
        out[:, :, row, column] = np.einsum("ocij,ncij->no", kernel, window)
    return out


def test_half_the_contrast_halves_the_drive(drive_of, images, mean_and_sd):
    mean, _ = mean_and_sd
    plain = drive_of(images.x_test)
    half = drive_of((mean + (images.x_test - mean) / 2).astype(np.float32))
    assert np.abs(plain).max() > 0.5
    np.testing.assert_allclose(half, plain / 2, atol=1e-5)
    grey = drive_of(np.broadcast_to(mean, (2, 3, 6, 6)).astype(np.float32))
    np.testing.assert_allclose(grey, 0, atol=1e-5)


def test_brightness_adds_what_the_weights_make_of_it(run, drive_of, images, mean_and_sd):
    mean, sd = mean_and_sd
    kernel = cs.load(run).weights["retina->V1"].astype(np.float64)
    plain, brighter = drive_of(images.x_test), drive_of(images.x_test + np.float32(1.5))
    added = convolved(kernel, np.broadcast_to(1.5 / sd, (1, 3, 6, 6)))
    assert np.abs(added).max() > 0.1
    np.testing.assert_allclose(brighter - plain, np.broadcast_to(added, plain.shape), atol=1e-4)
    np.testing.assert_allclose(plain, convolved(kernel, (images.x_test - mean) / sd), atol=1e-4)


def test_other_stimuli_are_not_standardised_by_their_own_statistics(drive_of, images):
    """Ten times the contrast is ten times the drive, also as a set of its own."""
    x = images.x_test - images.x_test.mean((0, 2, 3), keepdims=True)
    plain, strong = drive_of(x), drive_of(10 * x)
    middle = drive_of(0 * x)
    np.testing.assert_allclose(strong - middle, 10 * (plain - middle), atol=1e-4)


@pytest.mark.parametrize("degrees", [4.0, 16.0])
def test_size_is_what_a_screen_of_that_size_shows(drive_of, degrees):
    """Half as large: pasted into a screen twice as large; twice as large: its central quarter."""
    x = np.random.default_rng(1).integers(0, 256, (4, 3, 12, 12), dtype=np.uint8)
    made = []
    for picture in x.transpose(0, 2, 3, 1):
        image = Image.fromarray(picture)
        if degrees == 4:
            screen = Image.new("RGB", (24, 24), (128, 128, 128))
            screen.paste(image, (6, 6))
        else:
            screen = image.crop((3, 3, 9, 9))
        made.append(np.asarray(screen.resize((6, 6), Image.Resampling.BICUBIC)).transpose(2, 0, 1))
    shown = drive_of(x, view=View(degrees=degrees))
    np.testing.assert_array_equal(shown, drive_of(np.stack(made)))
    assert np.abs(shown - drive_of(x)).max() > 0.1


def test_uniform_stimuli_look_alike_at_every_size_above_the_field_of_view(drive_of):
    x = np.full((1, 3, 12, 12), 200, np.uint8)
    np.testing.assert_array_equal(drive_of(x, view=View(degrees=20)), drive_of(x))
