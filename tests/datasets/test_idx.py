"""The IDX files of MNIST: plain or gzipped, checked against their headers."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_sim.data.idx import read_idx
from cortex_sim.errors import DataError

STEMS = {
    "x_train": "train-images{}idx3-ubyte",
    "y_train": "train-labels{}idx1-ubyte",
    "x_test": "t10k-images{}idx3-ubyte",
    "y_test": "t10k-labels{}idx1-ubyte",
}
LABELS = "train-labels-idx1-ubyte"
IMAGES = "train-images-idx3-ubyte"


def idx_bytes(array):
    """The format as LeCun describes it: 0 0 8 axes, big-endian sizes, bytes."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">i", n) for n in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write(folder, arrays, dot="-", gz=False):
    folder.mkdir(exist_ok=True)
    for key, array in arrays.items():
        packed = idx_bytes(array)
        name = STEMS[key].format(dot) + (".gz" if gz else "")
        (folder / name).write_bytes(gzip.compress(packed) if gz else packed)
    return folder


@pytest.mark.parametrize("dot", "-.")
@pytest.mark.parametrize("gz", [False, True])
def test_reads_every_spelling(dot, gz, tmp_path, arrays):
    images = read_idx(write(tmp_path / "tiny", arrays, dot, gz))
    assert images.name == "tiny" and images.stimulus_shape == (1, 5, 7)
    np.testing.assert_array_equal(images.x_train[:, 0] * 255, arrays["x_train"])
    np.testing.assert_array_equal(images.x_test[:, 0] * 255, arrays["x_test"])
    np.testing.assert_array_equal(images.y_train, arrays["y_train"])
    np.testing.assert_array_equal(images.y_test, arrays["y_test"])


def spoil(folder, name, change):
    file = folder / name
    packed = file.read_bytes()
    if name.endswith(".gz"):
        file.write_bytes(gzip.compress(change(gzip.decompress(packed))))
    else:
        file.write_bytes(change(packed))


BROKEN = {
    "images in place of labels": (LABELS, lambda b: b"\0\0\x08\x03" + b[4:], "00 00 08 03, but an IDX"),
    "floats": (IMAGES, lambda b: b"\0\0\x0d\x03" + b[4:], "starts with 00 00 0d 03"),
    "empty": (IMAGES, lambda b: b"", "starts with nothing"),
    "ends in the header": (IMAGES, lambda b: b[:10], "ends inside its header"),
    "one byte short": (IMAGES, lambda b: b[:-1], "only 384 follow"),
    "one byte long": (IMAGES, lambda b: b + b"x", "385 bytes, but more follow"),
    "no images": (IMAGES, lambda b: b[:4] + bytes(4) + b[8:16], "x_train holds no presentations"),
    "no rows": (IMAGES, lambda b: b[:8] + bytes(4) + b[12:16], "holds no values"),
    "fewer labels": (
        LABELS,
        lambda b: b[:4] + struct.pack(">i", 10) + b[8:-1],
        "y_train has 10 labels, but x_train has 11",
    ),
}


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("case", BROKEN)
def test_refuses(case, gz, tmp_path, arrays):
    name, change, message = BROKEN[case]
    folder = write(tmp_path / "tiny", arrays, gz=bool(gz))
    spoil(folder, name + gz, change)
    with pytest.raises(DataError, match=f"^data .*tiny.*: .*{message}"):
        read_idx(folder)


def test_missing_file_is_named(tmp_path, arrays):
    folder = write(tmp_path / "tiny", arrays)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="lacks t10k-labels-idx1-ubyte, holds t10k-images"):
        read_idx(folder)


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_header_that_claims_too_much_allocates_nothing(gz, tmp_path, arrays):
    folder = write(tmp_path / "tiny", arrays, gz=bool(gz))
    spoil(folder, IMAGES + gz, lambda b: b[:4] + b"\xff" * 12 + b[16:])
    tracemalloc.start()
    with pytest.raises(DataError, match="the file is too small for that"):
        read_idx(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_gzip_bomb_is_not_unpacked(tmp_path, arrays):
    folder = write(tmp_path / "tiny", arrays, gz=True)
    spoil(folder, LABELS + ".gz", lambda b: b + bytes(10**8))
    tracemalloc.start()
    with pytest.raises(DataError, match="11 bytes, but more follow"):
        read_idx(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_refuses_more_than_max_bytes(tmp_path, arrays):
    folder = write(tmp_path / "tiny", arrays)
    with pytest.raises(DataError, match=r"shape \(11, 5, 7\) would take"):
        read_idx(folder, max_bytes=11 * 5 * 7 * 4 - 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keep=st.floats(0, 1, exclude_max=True), gz=st.sampled_from(["", ".gz"]))
def test_truncated_anywhere_is_a_data_error(tmp_path, arrays, keep, gz):
    folder = write(tmp_path / f"cut{gz}", arrays, gz=bool(gz))
    file = folder / (IMAGES + gz)
    packed = file.read_bytes()
    file.write_bytes(packed[: int(keep * len(packed))])
    with pytest.raises(DataError):
        read_idx(folder)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_damaged_gzip_is_a_data_error_or_harmless(tmp_path, arrays, at, value):
    folder = write(tmp_path / "hurt", arrays, gz=True)
    file = folder / (IMAGES + ".gz")
    packed = bytearray(file.read_bytes())
    packed[int(at * len(packed))] ^= value
    file.write_bytes(packed)
    try:
        got = read_idx(folder)
    except DataError:
        return
    np.testing.assert_array_equal(got.x_train[:, 0] * 255, arrays["x_train"])


def test_reports_progress(tmp_path, arrays):
    seen = []
    read_idx(write(tmp_path / "a", arrays), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
