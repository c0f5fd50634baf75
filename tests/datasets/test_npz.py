"""An .npz file: read as saved, and never believed beyond its bytes."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_sim.data.npz import read_npz
from cortex_sim.errors import DataError

fuzzing = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=[np.savez, np.savez_compressed], ids=["stored", "deflated"])
def tiny(request, tmp_path, arrays):
    path = tmp_path / "tiny.npz"
    request.param(path, **arrays)
    return path


def header(shape, descr="|u1", order=False):
    """A version 1.0 .npy header, as numpy's format description has it; shape is free text."""
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def with_member(path, arrays, name, content, method=zipfile.ZIP_DEFLATED):
    """A set whose array ``name`` is the bytes ``content``."""
    np.savez(path, **{key: value for key, value in arrays.items() if key != name})
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(f"{name}.npy", content)
    return path


def test_reads_what_was_saved(tiny, arrays):
    images = read_npz(tiny)
    assert images.name == "tiny" and images.classes == ("0", "1", "2")
    np.testing.assert_array_equal(images.x_train[:, 0] * 255, arrays["x_train"])
    np.testing.assert_array_equal(images.y_test, arrays["y_test"])


def test_reads_class_names_float_and_fortran_order(tmp_path, arrays):
    arrays["x_train"] = np.asfortranarray(arrays["x_train"] / 255)
    arrays["x_test"] = (arrays["x_test"] / 255).astype(">f4")
    np.savez(tmp_path / "a.npz", **arrays, classes=["cat", "dog", "été"])
    images = read_npz(tmp_path / "a.npz")
    assert images.classes == ("cat", "dog", "été")
    np.testing.assert_allclose(images.x_train[:, 0], arrays["x_train"], rtol=1e-6)
    assert images.x_test.dtype == np.float32 and images.x_test.dtype.isnative


def test_names_missing_arrays_and_those_present(tmp_path, arrays):
    del arrays["y_test"]
    np.savez(tmp_path / "a.npz", **arrays, extra=1)
    with pytest.raises(DataError, match=r"a.npz: lacks y_test, holds extra, x_test, x_train, y_t"):
        read_npz(tmp_path / "a.npz")


def test_refuses_pickles_without_running_them(tmp_path, arrays):
    class Explosive:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    arrays["x_train"] = np.array([Explosive()], object)
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match="x_train holds pickled Python objects"):
        read_npz(tmp_path / "a.npz")


def test_refuses_two_classes_of_one_name(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays, classes=["cat", "dog", "cat"])
    with pytest.raises(DataError, match="classes holds 'cat' more than once"):
        read_npz(tmp_path / "a.npz")


def test_refuses_classes_as_objects(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays, classes=np.array(["a", "b", "c"], object))
    with pytest.raises(DataError, match="classes holds pickled Python objects"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "shape", ["(1000000000000,)", "(11, 5, 8)", "(-11, -5, 7)", "(2, 9223372036854775807)", "()"]
)
def test_header_that_disagrees_with_the_bytes_allocates_nothing(shape, tmp_path, arrays):
    content = header(shape) + bytes(11 * 5 * 7)
    path = with_member(tmp_path / "a.npz", arrays, "x_train", content)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"x_train declares shape .* but 385 bytes follow"):
        read_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_directory_that_claims_too_much_is_refused(tmp_path, arrays):
    content = header("(3000000000,)") + bytes(100)
    path = with_member(tmp_path / "a.npz", arrays, "x_train", content)
    packed = path.read_bytes()
    honest, claimed = len(content), 3_000_000_000 + len(content) - 100
    assert packed.count(honest.to_bytes(4, "little")) == 2  # local header and directory
    path.write_bytes(packed.replace(honest.to_bytes(4, "little"), claimed.to_bytes(4, "little")))
    with pytest.raises(DataError, match="claims 3000000[0-9]* bytes, more than"):
        read_npz(path)


def test_bomb_is_refused_by_size(tmp_path, arrays):
    content = header("(10000, 1000)") + bytes(10**7)
    path = with_member(tmp_path / "a.npz", arrays, "x_train", content)
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match="x_train takes .* GiB, the limit is"):
        read_npz(path, max_bytes=10**6)
    with pytest.raises(DataError, match=r"shape \(10000, 1000\) would take .* GiB as float32"):
        read_npz(path, max_bytes=2 * 10**7)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x93NUMPY\x09\x00\x00\x00", header("(1,)", descr="nonsense"), header("(1")],
    ids=["empty", "text", "version", "dtype", "unclosed"],
)
def test_refuses_what_is_no_array(content, tmp_path, arrays):
    path = with_member(tmp_path / "a.npz", arrays, "y_test", content)
    with pytest.raises(DataError, match="y_test has no readable header"):
        read_npz(path)


def test_refuses_other_compression(tmp_path, arrays):
    buffer = io.BytesIO()
    np.save(buffer, arrays["y_test"])
    path = with_member(tmp_path / "a.npz", arrays, "y_test", buffer.getvalue(), zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="y_test is compressed by a method that numpy does not use"):
        read_npz(path)


@pytest.mark.parametrize("content", [b"", b"not a zip file at all", header("(1,)") + b"1"])
def test_refuses_what_is_no_archive(content, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="a.npz: not a readable .npz archive"):
        read_npz(tmp_path / "a.npz")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(DataError, match="not a readable .npz archive"):
        read_npz(tmp_path)


@fuzzing
@given(keep=st.floats(0, 1, exclude_max=True))
def test_truncated_anywhere_is_a_data_error(tiny, tmp_path, keep):
    whole = tiny.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(DataError):
        read_npz(tmp_path / "cut.npz")


@fuzzing
@given(at=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_damaged_anywhere_is_a_data_error_or_harmless(tiny, tmp_path, at, value):
    whole = bytearray(tiny.read_bytes())
    whole[int(at * len(whole))] ^= value
    (tmp_path / "hurt.npz").write_bytes(whole)
    try:
        got = read_npz(tmp_path / "hurt.npz")
    except DataError:
        return
    np.testing.assert_array_equal(got.x_train, read_npz(tiny).x_train)  # a date, a flag
    np.testing.assert_array_equal(got.y_test, read_npz(tiny).y_test)


def test_reports_progress(tiny):
    seen = []
    read_npz(tiny, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 4)]
