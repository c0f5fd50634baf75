"""Files that are truncated, pickled, mislabelled or not what their suffix says: one clear line each."""

from __future__ import annotations

import pickle
import zipfile

import h5py
import numpy as np
import pytest
import xarray as xr

from cortex_sim import neural
from cortex_sim.errors import DataError


def make_npz(path):
    np.savez(path, response_mean=np.random.default_rng(0).random((50, 40)))


def make_netcdf(path):
    rate = np.random.default_rng(0).random((50, 40))
    coords = {"stimulus_id": ("presentation", [str(i) for i in range(50)])}
    xr.Dataset({"rate": (("presentation", "neuroid"), rate)}, coords).to_netcdf(path, engine="h5netcdf")


def make_classic(path):
    rate = np.random.default_rng(0).random((50, 40))
    coords = {"stimulus_id": ("presentation", np.arange(50.0))}
    xr.Dataset({"rate": (("presentation", "neuroid"), rate)}, coords).to_netcdf(path, engine="scipy")


def make_hdf5(path):
    with h5py.File(path, "w") as file:
        file["response_mean"] = np.random.default_rng(0).random((50, 40))


def make_rsatoolbox(path):
    from rsatoolbox.rdm import RDMs

    RDMs(np.random.default_rng(0).random((3, 1225))).save(str(path))


KINDS = {
    "a.npz": make_npz,
    "a.nc": make_netcdf,
    "old.nc": make_classic,
    "plain.h5": make_hdf5,
    "rdms.hdf5": make_rsatoolbox,
}


def refusal(path):
    with pytest.raises(DataError) as caught:
        neural.load(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and len(message) < 600
    return message


@pytest.mark.parametrize("kept", [0, 1, 3, 40, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", KINDS)
def test_truncated(tmp_path, kind, kept):
    path = tmp_path / kind
    KINDS[kind](path)
    neural.load(path)  # whole, it is read
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    refusal(path)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_under_the_suffix(tmp_path, kind):
    (tmp_path / kind).write_bytes(np.random.default_rng(0).bytes(5000))
    refusal(tmp_path / kind)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes_never_escape_as_another_exception(tmp_path, kind):
    """One byte changed: either the data are read and plausible, or refused."""
    KINDS[kind](tmp_path / kind)
    content, rng = bytearray((tmp_path / kind).read_bytes()), np.random.default_rng(0)
    for at in [*range(0, 200, 11), *rng.integers(0, len(content), 30)]:
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        (tmp_path / kind).write_bytes(damaged)
        try:
            neural.load(tmp_path / kind)
        except DataError as exception:
            assert "\n" not in str(exception)


@pytest.mark.parametrize("name", ["a.pkl", "a.pickle", "a.PKL", "a.joblib", "a.pt"])
def test_pickles_are_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps({"response": [1, 2]}))
    assert "can run code when they are read, and are refused" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npz", "a.nc", "a.h5", "a.hdf5"])
def test_pickles_under_another_suffix_are_never_opened(tmp_path, name):
    class Bomb:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    refusal(tmp_path / name)
    np.savez(tmp_path / "o.npz", response=np.array([[Bomb(), 1]], dtype=object), stimulus_id=np.arange(1))
    assert "Python objects" in refusal(tmp_path / "o.npz")
    assert not (tmp_path / "ran").exists()


def test_ids_as_python_objects_are_refused(tmp_path):
    np.savez(tmp_path / "o.npz", response=np.eye(2), stimulus_id=np.array(["a", "b"], dtype=object))
    assert "stimulus_id" in refusal(tmp_path / "o.npz")


def test_a_header_that_claims_too_much_is_not_believed(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 900000), }"
    header += b" " * (118 - len(header)) + b"\n"
    with zipfile.ZipFile(tmp_path / "big.npz", "w") as archive:
        archive.writestr("response_mean.npy", b"\x93NUMPY\x01\x00" + bytes([118 + 1, 0]) + header)
    refusal(tmp_path / "big.npz")
    with h5py.File(tmp_path / "big.h5", "w") as file:  # chunks that were never written take no space
        file.create_dataset("response_mean", (100_000, 9_000), chunks=(1000, 1000), dtype="f8")
    assert "than its bytes on disk can hold" in refusal(tmp_path / "big.h5")


@pytest.mark.parametrize(
    "name, said",
    [
        ("a.csv", ".csv: not an accepted format; give an .npz"),
        ("a", "no suffix: not an accepted format"),
        ("a.npy", ".npy: not an accepted format"),
    ],
)
def test_other_forms_list_those_that_are_accepted(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"1,2")
    assert said in refusal(tmp_path / name)


def test_a_folder_and_a_missing_file(tmp_path):
    assert "is a folder; give" in refusal(tmp_path)
    assert "no file or folder" in refusal(tmp_path / "missing.npz")


def test_empty_containers(tmp_path):
    np.savez(tmp_path / "a.npz")
    refusal(tmp_path / "a.npz")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("empty")
    refusal(tmp_path / "a.h5")
