"""Folders and shards that are not as they should be are refused by name, before anything is shown."""

from __future__ import annotations

import numpy as np
import pytest
from painted_pictures import painted, sharded
from PIL import Image

from cortex_sim import data
from cortex_sim.augmentation import Chain, RandomResizedCrop
from cortex_sim.data.streamed.indexing import write_index
from cortex_sim.errors import DataError

SHAPE = (3, 16, 12)


def add_part(folder):
    painted(folder, [("validation", 1)])


def drop_val(folder):
    import shutil

    shutil.rmtree(folder / "val")


def new_class(folder):
    (folder / "val/zebra").mkdir()
    Image.new("RGB", (4, 4)).save(folder / "val/zebra/1.png")


def stray(folder):
    (folder / "train/a/notes.txt").write_text("to do")


@pytest.mark.parametrize(
    "spoil, said",
    [
        (add_part, "needs train and one of val or test, has train, val, validation"),
        (drop_val, "needs train and one of val or test, has train"),
        (new_class, "val has the classes zebra, which train lacks"),
        (stray, "train/a/notes.txt is not a .png or .jpg file"),
    ],
)
def test_wrong_folders_are_refused(spoil, said, spoiled):
    spoil(spoiled)
    with pytest.raises(DataError) as refused:
        data.streamed_set(spoiled)
    assert said in str(refused.value)


def test_what_cannot_be_fitted_is_refused(folder):
    found = data.streamed_set(folder)
    with pytest.raises(DataError, match="pictures may differ in size"):
        found.part("train")
    with pytest.raises(DataError, match="population of shape"):
        found.fit_to(784, "retina")
    with pytest.raises(DataError, match="without random numbers"):
        found.fit_to(SHAPE, view=[RandomResizedCrop()])
    with pytest.raises(DataError, match=r"after augmentation pictures have shape \(3, 5, 5\)"):
        found.fit_to(SHAPE).augmented("train", Chain((RandomResizedCrop(5),)))
    with pytest.raises(DataError, match="has no part 'test', but train, validation"):
        found.fit_to(SHAPE).part("test")


def truncated(shards):
    file = shards / "train-000000.tar"
    file.write_bytes(file.read_bytes()[:-700])


def without(shards):
    (shards / "val-000000.tar").unlink()


def without_index(shards):
    (shards / "val.index.npz").unlink()


def no_archive(shards):
    (shards / "train.index.npz").write_bytes(b"junk")


def changed(name, change):
    def spoil(shards):
        arrays = dict(np.load(shards / "train.index.npz"))
        arrays[name] = change(arrays[name])
        np.savez(shards / "train.index.npz", **arrays)

    return spoil


@pytest.mark.parametrize(
    "spoil, said",
    [
        (truncated, "train-000000.tar has"),
        (without, "val-000000.tar is missing"),
        (without_index, "have no index; make it: cortex-sim shard"),
        (no_archive, "not a readable .npz archive"),
        (changed("offset", lambda x: x + 2**40), "not an index of shards, or is damaged"),
        (changed("offset", lambda x: x - 2**40), "not an index of shards, or is damaged"),
        (changed("label", lambda x: x + 1), "not an index of shards, or is damaged"),
        (changed("number", lambda x: x[:-1]), "not an index of shards, or is damaged"),
        (changed("shard", lambda x: np.char.add("../", x)), "not an index of shards, or is damaged"),
        (changed("length", lambda x: x.astype(float)), "not an index of shards, or is damaged"),
        (changed("classes", lambda x: np.char.add(x, "!")), "train and val have different classes"),
    ],
)
def test_wrong_shards_are_refused(spoil, said, folder, tmp_path):
    shards = sharded(folder, tmp_path / "shards")
    spoil(shards)
    with pytest.raises(DataError) as refused:
        data.streamed_set(shards)
    assert said in str(refused.value)
    with pytest.raises(DataError, match="holds shards"):
        data.load(shards)


def test_a_damaged_shard_gets_no_index(folder, tmp_path):
    shards = sharded(folder, tmp_path / "shards")
    truncated(shards)
    (shards / "train-000001.tar").write_bytes((shards / "train-000000.tar").read_bytes())
    with pytest.raises(DataError, match=r"occurs a second time|cannot be read as an uncompressed tar file"):
        write_index(shards, "train")
    (shards / "val-000000.tar").write_bytes(b"\x1f\x8b" + b"junk" * 300)
    with pytest.raises(DataError, match="cannot be read as an uncompressed tar file"):
        write_index(shards, "val")
