"""Ten thousand pictures of ImageNet's size, presented within two gibibytes."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from cortex_sim import recording

COUNT, SIDE = 10_000, 224


@pytest.fixture
def pictures(tmp_path):
    """JPEG files, end to end in an .npz file: 1.5 GB when decoded. Two hundred different ones, repeated."""
    rng = np.random.default_rng(0)
    files = []
    for _ in range(200):
        coarse = Image.fromarray(rng.integers(0, 256, (28, 28, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG")
        files.append(file.getvalue())
    files *= COUNT // len(files)
    jpeg, offset = np.frombuffer(b"".join(files), np.uint8), np.cumsum([0, *map(len, files)])
    np.savez(tmp_path / "pictures.npz", jpeg=jpeg, offset=offset)
    return tmp_path / "pictures.npz"


@pytest.mark.slow
def test_two_populations_of_10000_pictures_of_gait_imagenet_within_two_gibibytes(pictures, tmp_path):
    line = f"respond gait_imagenet --like none --stimuli {pictures} --population V4 --population PIT"
    line += f" --variable rate --out {tmp_path / 'r.nc'}"
    # The process asks for its own peak: that of all children would include those of other tests.
    code = f"""
import resource
from cortex_sim.cli import main
assert main({line.split()!r}) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak = int(ended.stdout.splitlines()[-1])  # KiB
    assert 2**17 < peak < 2 * 2**20
    print(f"peak {peak / 2**20:.2f} GiB")
    with recording.open_lazily(tmp_path / "r.nc") as kept:
        first = kept.rate.isel(presentation=[0, 199, 200, 9999]).values
        assert kept.sizes["presentation"] == COUNT and set(kept.data_vars) == {"rate"}
        assert dict.fromkeys(kept.population.values.tolist()) == {"V4": None, "PIT": None}
    np.testing.assert_allclose(first[2], first[0], atol=1e-5)  # the same picture again
    np.testing.assert_allclose(first[3], first[1], atol=1e-5)
    assert np.abs(first[0] - first[1]).max() > 0.01
