"""Folders and shards of pictures that stay on disk: the same presentations, purely, whatever is damaged."""

from __future__ import annotations

import logging
import os
import tarfile

import numpy as np
import pytest
from painted_pictures import CLASSES, painted, sharded
from PIL import Image

from cortex_sim import data
from cortex_sim.augmentation import Chain, Flip, RandomCrop, RandomResizedCrop
from cortex_sim.data.streamed.indexing import write_index
from cortex_sim.data.streamed.sharding import planned, write_shards
from cortex_sim.errors import DataError

SHAPE = (3, 16, 12)
STEPS = (RandomResizedCrop((16, 12)), Flip())


def source(path, steps=STEPS, part="train"):
    found = data.streamed_set(path).fit_to(SHAPE)
    return found.augmented(part, Chain(steps, seed=3), found.preprocessing())


def batch(path, at=range(18), epoch=2, **given):
    return source(path, **given).batch(np.array(at), epoch)


def test_a_folder_in_sorted_order(folder):
    found = data.streamed_set(folder)
    assert repr(found) == ("StreamedSet('set': 18 to train, 9 to validate, of any size, 3 classes)")
    assert found.classes == CLASSES and found.parts == ("train", "validation")
    shown = found.fit_to(SHAPE).part("train")
    assert shown.ids[:2] == ("train/a/p.0.PNG", "train/a/p.1.jpg") and len(shown) == 18
    assert shown.labels.tolist() == np.repeat([0, 1, 2], 6).tolist()


def test_the_view_is_pillows(folder):
    """Shorter side to 8/7 of 12, then the centre: decoded and resized by hand."""
    shown = data.streamed_set(folder).fit_to(SHAPE).part("validation")
    image = Image.open(folder / "val/a-b/p.1.jpg").convert("RGB")
    share = 14 / min(image.size)
    width, height = (max(14, round(side * share)) for side in image.size)
    whole = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    field = np.zeros((16, 12, 3), np.uint8)
    rows, left = min(16, height), (width - 12) // 2
    to, of = max(0, (16 - height) // 2), max(0, -((16 - height) // 2))
    field[to : to + rows] = whole[of : of + rows, left : left + 12]
    (x,), (label,) = shown.batch(np.array([4]))
    np.testing.assert_array_equal(np.rint(x * 255), np.moveaxis(field, 2, 0))
    assert label == 1


def test_shards_show_what_their_folder_shows(folder, shards):
    for part in ("train", "validation"):
        one, other = source(folder, part=part), source(shards, part=part)
        at = np.random.default_rng(0).permutation(len(one))
        for ours, theirs in zip(one.batch(at, 5), other.batch(at, 5), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert one.preprocessing == other.preprocessing
    ids = [data.streamed_set(path).fit_to(SHAPE).part("train").ids for path in (folder, shards)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize("place", ["folder", "shards"])
def test_batches_are_a_pure_function_of_indices_and_epoch(place, request):
    path = request.getfixturevalue(place)
    whole, labels = batch(path)
    assert whole.dtype == np.float32 and whole.shape == (18, *SHAPE)
    order = np.random.default_rng(1).permutation(18)
    again = source(path)
    again.batch(order[:7], 0)
    for part in (order[9:], order[:9]):
        x, y = again.batch(part, 2)
        np.testing.assert_array_equal(x, whole[part])
        np.testing.assert_array_equal(y, labels[part])
    assert (again.batch(np.arange(18), 3)[0] != whole).any((1, 2, 3)).all()


def test_shards_are_what_webdataset_reads(folder, shards):
    """KEY.jpg and KEY.cls, one after the other, the files byte for byte; every picture once."""
    found = {}
    for file in sorted(shards.glob("train-*.tar")):
        with tarfile.open(file) as opened:
            names = opened.getnames()
            assert [n.rsplit(".", 1)[0] for n in names[::2]] == [n.rsplit(".", 1)[0] for n in names[1::2]]
            assert all(name.count(".") == 1 for name in names)
            for picture, label in zip(names[::2], names[1::2], strict=True):
                found[picture] = (opened.extractfile(picture).read(), opened.extractfile(label).read())
    assert len(found) == 18
    content, label = found["b%2Ec/p%2E1.jpg"]
    assert content == (folder / "train/b.c/p.1.jpg").read_bytes() and label == b"2"


def test_shards_are_the_same_bytes_again(folder, shards, tmp_path):
    again = sharded(folder, tmp_path / "again")
    assert sorted(os.listdir(again)) == sorted(os.listdir(shards))
    for file in again.glob("*.tar"):
        assert file.read_bytes() == (shards / file.name).read_bytes()


def test_an_interrupted_sharding_continues(folder, shards, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "train-000001.tar").write_bytes((shards / "train-000001.tar").read_bytes())
    before = (out / "train-000001.tar").stat().st_mtime_ns
    done = []
    assert write_shards(planned(folder, 4), out, lambda n, s: done.append(n)) == {"train": 18, "val": 9}
    assert sum(done) == 27 and (out / "train-000001.tar").stat().st_mtime_ns == before
    np.testing.assert_array_equal(batch(out)[0], batch(shards)[0])
    with pytest.raises(DataError, match="made with another --shard-size; give a new folder"):
        write_shards(planned(folder, 5), out, lambda n, s: None)


def test_shards_of_others_get_an_index(tmp_path):
    """Without classes.txt, keys without folders, members in any order, and other members beside them."""
    import io

    def add(opened, name, content):
        info = tarfile.TarInfo(name)
        info.size = len(content)
        opened.addfile(info, io.BytesIO(content))

    def png(level):
        file = io.BytesIO()
        Image.new("RGB", (5, 4), (level, 0, 0)).save(file, "PNG")
        return file.getvalue()

    with tarfile.open(tmp_path / "train-000000.tar", "w") as opened:
        add(opened, "0002.cls", b"1\n")
        add(opened, "0002.png", png(20))
        add(opened, "0001.json", b"{}")
        add(opened, "0001.png", png(10))
        add(opened, "0001.cls", b"0")
        add(opened, "0003.png", png(30))  # no label
        add(opened, "0004.png", png(40))
        add(opened, "0004.cls", b"cat")  # no number
        add(opened, "0005.cls", b"1")  # no picture
        link = tarfile.TarInfo("0006.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    with tarfile.open(tmp_path / "test-000000.tar", "w") as opened:
        add(opened, "../../0001.png", png(50))  # a path out of the folder is only a name
        add(opened, "../../0001.cls", b"1")
    assert write_index(tmp_path, "train") == (2, ["0003.png", "0004.png", "0005.cls"])
    assert write_index(tmp_path, "test") == (1, [])
    found = data.streamed_set(tmp_path).fit_to((3, 4, 4))
    assert found.classes == ("0", "1") and found.parts == ("train", "test")
    x, y = found.part("train").batch(np.array([1, 0]))
    np.testing.assert_allclose(x[:, 0, 2, 2] * 255, [20, 10], rtol=1e-6)
    assert y.tolist() == [1, 0]
    np.testing.assert_allclose(found.part("test").batch(np.array([0]))[0][0, 0, 2, 2] * 255, 50, rtol=1e-6)
    assert not (tmp_path.parent.parent / "0001.png").exists()


SPOILED = {
    "no picture": lambda whole: b"junk" * (len(whole) // 4),
    "cut off": lambda whole: whole[: len(whole) // 2],
    "empty header": lambda whole: b"\0" * 20 + whole[20:],
}


@pytest.mark.parametrize("kind", SPOILED)
def test_what_cannot_be_read_is_replaced_by_the_next_of_its_class(kind, spoiled, tmp_path, caplog):
    sound, labels = batch(spoiled, steps=(), at=range(18))
    preprocessing = source(spoiled).preprocessing
    for name in ("train/a/p.3.jpg", "train/a-b/p.5.jpg"):
        (spoiled / name).write_bytes(SPOILED[kind]((spoiled / name).read_bytes()))
    shards = sharded(spoiled, tmp_path / "shards")
    expected = sound.copy()
    expected[3], expected[11] = sound[4], sound[6]  # the last one's place takes the first
    for path in (spoiled, shards):
        found = data.streamed_set(path).fit_to(SHAPE)
        replaced = found.shown("train", preprocessing)
        with caplog.at_level(logging.WARNING):
            x, y = replaced.batch(np.arange(18), 0)
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y, labels)
        assert set(replaced.unreadable.reasons) == {"train/a/p.3.jpg", "train/a-b/p.5.jpg"}
        said = replaced.unreadable.sentence()
        assert "2 pictures could not be read" in said and "train/a/p.3.jpg" in said and "0x" not in said
        assert sum("train/a/p.3.jpg cannot be read" in r.message for r in caplog.records) == 1
        caplog.clear()
        with pytest.raises(DataError, match="p.3.jpg cannot be read"):  # responses carry its id
            found.part("train").batch(np.array([3]))


def test_a_file_that_vanished_is_replaced_too(spoiled):
    made = source(spoiled, steps=())
    (spoiled / "train/b.c/p.0.PNG").unlink()
    np.testing.assert_array_equal(made.batch(np.array([12]))[0], made.batch(np.array([13]))[0])
    assert "No such file" in made.unreadable.reasons["train/b.c/p.0.PNG"]


def test_a_class_without_a_readable_picture_is_an_error(spoiled):
    made = source(spoiled, steps=())
    for file in (spoiled / "train/a").iterdir():
        file.write_bytes(b"junk")
    with pytest.raises(DataError, match=r"nor another picture of its class can be read \(6 tried\)"):
        made.batch(np.array([2]))


def test_pillows_limit_on_pixels_holds(spoiled, monkeypatch):
    made = source(spoiled, steps=())
    sizes = [pixels.shape[1:] for pixels in map(made.pixels.whole, range(6))]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30 * 30)
    large = {i for i, size in enumerate(sizes) if np.prod(size) > 900}
    assert 0 < len(large) < 6
    made.batch(np.arange(6))
    assert {int(name.split(".")[1]) for name in made.unreadable.reasons} == large
    assert "exceeds limit" in next(iter(made.unreadable.reasons.values()))


def test_sixteen_bits_are_not_clipped_in_silence(spoiled):
    Image.fromarray(np.full((30, 30), 40_000, np.uint16)).save(spoiled / "train/a/p.0.PNG")
    made = source(spoiled, steps=())
    made.batch(np.array([0]))
    assert "8 bits per channel" in made.unreadable.reasons["train/a/p.0.PNG"]


def test_held_out_pictures_are_those_that_an_image_set_holds_out(tmp_path):
    found = data.streamed_set(painted(tmp_path / "set", [("train", 6), ("test", 2)])).fit_to(SHAPE)
    held = found.hold_out(5, seed=1)
    assert [len(held.part(part)) for part in held.parts] == [13, 5, 6]
    order = np.sort(np.random.default_rng(1).permutation(18)[:5])
    assert held.part("validation").ids == tuple(found.part("train").ids[i] for i in order)
    assert not set(held.part("validation").ids) & set(held.part("train").ids)


def test_mean_and_sd_are_those_of_the_pictures_as_shown(folder):
    found = data.streamed_set(folder).fit_to(SHAPE)
    x = found.part("train").batch(np.arange(18))[0].astype(float)
    measured = found.preprocessing()
    np.testing.assert_allclose(measured.mean, x.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(measured.sd, x.std((0, 2, 3)), rtol=1e-6)


def test_grey_populations_see_luminance(folder):
    found = data.streamed_set(folder).fit_to((1, 16, 12)).part("train")
    assert found.stimulus_shape == (1, 16, 12) and found.batch(np.array([0]))[0].shape == (1, 1, 16, 12)


def test_digest_follows_the_bytes(spoiled):
    before = data.streamed_set(spoiled).fit_to(SHAPE).part("train").fingerprint()
    assert data.streamed_set(spoiled).fit_to(SHAPE).part("train").fingerprint() == before
    (spoiled / "train/a/p.0.PNG").write_bytes((spoiled / "train/a/p.2.PNG").read_bytes())
    assert data.streamed_set(spoiled).fit_to(SHAPE).part("train").fingerprint() != before


def test_pictures_in_memory_are_augmented_alike(folder):
    """An array through the same chain; in float as in 8 bits, up to rounding by 8-bit resizing."""
    from cortex_sim.data.pixels import Held

    x = np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8), dtype=np.uint8)
    chain = Chain((RandomCrop(2, (8, 8)), Flip()), seed=1)
    floats = np.divide(x, np.float32(255), dtype=np.float32)
    ours, theirs = (
        data.Augmented("x", Held(values), np.arange(9), chain, (3, 8, 8)).batch(np.arange(9), 1)[0]
        for values in (x, floats)
    )
    np.testing.assert_array_equal(ours, theirs)
    flat = data.Augmented("x", Held(x), np.arange(9), chain, (192,)).batch(np.arange(9), 1)[0]
    np.testing.assert_array_equal(flat, ours.reshape(9, 192))


@pytest.mark.parametrize(
    "per_part, shape, viewed, streamed",
    [
        ([("train", 3), ("val", 2)], (3, 16, 16), False, True),
        ([("train", 3), ("test", 2)], (3, 16, 16), False, True),  # the first picture has another size
        ([("train", 3), ("test", 2)], (3, 30, 30), False, False),
        ([("train", 3), ("test", 2)], (3, 30, 30), True, True),
        ([("train", 3), ("test", 2)], (2700,), False, False),
        ([("train", 3)], (3, 30, 30), False, True),
    ],
)
def test_when_training_streams(per_part, shape, viewed, streamed, tmp_path):
    painted(tmp_path / "set", per_part, least=30, most=31)
    assert data.is_streamed(tmp_path / "set", shape, viewed) is streamed


def test_names_and_files_are_not_streamed(tmp_path, arrays, shards):
    np.savez(tmp_path / "tiny.npz", **arrays)
    assert not data.is_streamed("digits", (1, 8, 8))
    assert not data.is_streamed(tmp_path / "tiny.npz", (1, 5, 7))
    assert data.is_streamed(shards, (784,))
