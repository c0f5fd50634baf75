"""Stimuli that stay in their files: the same numbers as in memory, read only when requested."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cortex_sim import data
from cortex_sim.data import StimulusSet, fitting, pixels, stored_rows
from cortex_sim.errors import DataError
from cortex_sim.preprocessing import Preprocessing

X = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)


def as_npy(folder):
    np.save(folder / "a.npy", X)
    return folder / "a.npy"


def as_npz(folder):
    np.savez(folder / "b.npz", images=X, other=X[:, :, :, 0], kind=np.arange(7))
    return folder / "b.npz"


def as_folder(folder):
    for number, picture in enumerate(X):
        (folder / "c" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / "c" / str(number % 2) / f"{number}.png")
    return folder / "c"


def as_jpegs(folder):
    files = []
    for picture in X:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG")
        files.append(file.getvalue())
    jpeg, offset = np.frombuffer(b"".join(files), np.uint8), np.cumsum([0, *map(len, files)])
    np.savez(folder / "d.npz", jpeg=jpeg, offset=offset)
    return folder / "d.npz"


FORMS = {"npy": as_npy, "npz": as_npz, "folder": as_folder, "jpegs": as_jpegs}


@pytest.fixture
def lazily(monkeypatch):
    """Read a path as if its stimuli were too large to be held."""

    def read(path):
        with monkeypatch.context() as patched:
            patched.setattr(pixels, "HELD_BYTES", 0)
            return data.stimuli(path)

    return read


@pytest.mark.parametrize("form", FORMS)
def test_what_stays_in_files_is_what_memory_would_hold(form, tmp_path, lazily, monkeypatch):
    path = FORMS[form](tmp_path)
    held, stored = data.stimuli(path), lazily(path)
    assert isinstance(held.pixels, pixels.Held) and not isinstance(stored.pixels, pixels.Held)
    assert stored.ids == held.ids and stored.descriptors.keys() == held.descriptors.keys()
    np.testing.assert_array_equal(stored.x, held.x)
    at = np.array([5, 0, 3])
    for part in (slice(None), slice(1, None), [-1, 4, 2, 0, 5, 1]):
        np.testing.assert_array_equal(stored[part].batch(at)[0], held[part].batch(at)[0])
        np.testing.assert_array_equal(stored[part][[3, 1]].x, held[part].x[[3, 1]])
    monkeypatch.setattr(pixels, "HELD_BYTES", 0)
    how = {"crop": "centre", "degrees": 6.0}
    large, small = stored.fit_to((1, 8, 8), **how), held.fit_to((1, 8, 8), **how)
    assert isinstance(large.pixels, pixels.Fitted) and large.changes == small.changes
    np.testing.assert_array_equal(large.batch(at)[0], small.batch(at)[0])
    np.testing.assert_array_equal(large[[4, 2]].x, small[[4, 2]].x)


def test_only_requested_pictures_are_decoded(tmp_path, lazily, monkeypatch):
    monkeypatch.setattr(pixels, "HELD_BYTES", 0)
    stored, decoded = data.stimuli(as_folder(tmp_path)), []

    def counting(source, picture, *how, decode=pixels.pixels_of):
        decoded.append(picture.name)
        return decode(source, picture, *how)

    monkeypatch.setattr(pixels, "pixels_of", counting)
    fitted = stored.fit_to((3, 4, 4), crop="centre").noting(why="test")
    shown = fitted[2:].shown_through(Preprocessing((3, 4, 4), (0.5,), (2.0,)))
    assert len(shown) == 5 and shown.stimulus_shape == (3, 4, 4) and shown.fingerprint()
    assert decoded == []
    shown.batch(np.array([3, 1]))
    assert decoded == [stored.ids[5], stored.ids[3]]


def test_a_picture_damaged_or_changed_is_named_when_it_is_read(tmp_path, lazily):
    stored = lazily(as_folder(tmp_path))
    file = tmp_path / "c" / "1" / "3.png"
    at = np.array([stored.ids.index("1/3.png")])
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    with pytest.raises(DataError, match=r"1/3.png cannot be read as PNG or JPEG"):
        stored.batch(at)
    Image.fromarray(X[0].transpose(1, 0, 2)).save(file)
    with pytest.raises(DataError, match=r"1/3.png had shape \(3, 6, 5\) when the set was read, and has"):
        stored.batch(at)
    file.unlink()
    with pytest.raises(DataError, match="1/3.png cannot be read"):
        stored.fingerprint()


def test_another_size_is_named_before_anything_is_decoded(tmp_path, lazily):
    Image.fromarray(X[0, :5]).save(as_folder(tmp_path) / "z.png")
    with pytest.raises(DataError, match="z.png has 5 x 5 pixels, but .* has 5 x 6"):
        lazily(tmp_path / "c")


def test_a_shortened_file_is_named(tmp_path, lazily):
    stored = lazily(as_npy(tmp_path))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(DataError, match="a.npy: cannot be read .it ends early"):
        stored.batch(np.array([6]))
    assert stored_rows.stored_rows(tmp_path / "a.npy") is None
    with pytest.raises(DataError, match="not a readable .npy array"):
        lazily(tmp_path / "a.npy")


def test_what_cannot_be_read_row_by_row_is_read_at_once(tmp_path, lazily):
    np.savez_compressed(tmp_path / "packed.npz", images=X)
    np.save(tmp_path / "columns.npy", np.asfortranarray(X))
    np.save(tmp_path / "real.npy", X.astype(np.float32))
    for name in ("packed.npz", "columns.npy", "real.npy"):
        assert isinstance(lazily(tmp_path / name).pixels, pixels.Held)
        np.testing.assert_array_equal(lazily(tmp_path / name).x, X.transpose(0, 3, 1, 2))


def test_all_at_once_is_refused_where_memory_would_not_hold_it(tmp_path, lazily, monkeypatch):
    stored = lazily(as_npy(tmp_path))
    monkeypatch.setattr(pixels.everything, "__kwdefaults__", {"max_bytes": 4 * X.size - 1, "progress": None})
    with pytest.raises(DataError, match=r"all at once, of shape \(7, 3, 6, 5\) would take .* as float32"):
        stored.x  # noqa: B018
    assert stored.batch(np.array([0]))[0].shape == (1, 3, 6, 5)


@pytest.mark.parametrize("form", FORMS)
def test_a_fingerprint_changes_with_one_pixel_one_step_and_one_word(form, tmp_path, lazily, monkeypatch):
    path = FORMS[form](tmp_path)
    kept = lazily(path)
    assert lazily(path).fingerprint() == kept.fingerprint()
    other = [
        kept[:6],
        kept[::-1],
        kept.fit_to((1, 6, 5)),
        kept.fit_to((3, 6, 5), degrees=8),
        kept.fit_to((3, 6, 5), degrees=4),
        kept.shown_through(Preprocessing((3, 6, 5), (0.1,), (1.0,))),
        kept.noting(a=1),
    ]
    found = {one.fingerprint() for one in (kept, *other)}
    changed = X.copy()
    changed[2, 3, 1] ^= 255
    monkeypatch.setitem(globals(), "X", changed)
    found.add(lazily(FORMS[form](tmp_path)).fingerprint())
    assert len(found) == len(other) + 2


def test_steps_are_part_of_a_digest():
    """Also those that a set's list of changes does not name."""
    plain = pixels.Held(np.zeros((3, 4, 9), np.uint8))
    steps = [(), (fitting.Reshaped((36,)),), (fitting.Reshaped((9, 4)),), (fitting.Reshaped((6, 6)),)]
    assert len({pixels.Fitted(plain, some).digest() for some in steps}) == 4


def test_arrays_have_fingerprints_by_content():
    def of(x, **more):
        return StimulusSet(x, **more).fingerprint()

    first = of(X)
    assert of(X.copy()) == first
    changed = X.copy()
    changed[0, 0, 0, 0] += 1
    labels = np.arange(7) % 3
    others = [of(changed), of(X / np.float32(255)), of(X, labels=labels), of(X, ids=list("abcdefg"))]
    others += [
        of(X, descriptors={"deg": np.arange(7)}),
        of(X, descriptors={"deg": np.arange(7.0)}),
        of(X[:6]),
    ]
    assert len({first, *others}) == 8
