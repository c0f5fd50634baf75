"""A full disk ends a recording with one line: nothing is left, and the process lives on."""

import resource
import subprocess
import sys

import h5netcdf
import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import recording
from cortex_sim.errors import DataError, RunError
from cortex_sim.recording.guarded import guarded

LIMIT = 20480


@pytest.fixture
def full_disk():
    """No file of this process may grow beyond 20 kB, as on a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def large():
    net = cs.Network("large")
    net.population("V1", 100)
    return recording.make_recording(net, {"rate": {"V1": np.random.default_rng(0).normal(size=(300, 100))}})


def test_saving_on_a_full_disk_leaves_nothing(tmp_path, full_disk):
    with pytest.raises(DataError, match=r"r.nc: cannot be written \(File too large\); make room"):
        recording.save(large(), tmp_path / "r.nc")
    assert not list(tmp_path.iterdir())


def test_saving_on_a_full_disk_keeps_what_stood_there(tmp_path, full_disk):
    (tmp_path / "r.nc").write_bytes(b"before")
    with pytest.raises(DataError):
        recording.save(large(), tmp_path / "r.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["r.nc"]
    assert (tmp_path / "r.nc").read_bytes() == b"before"


def test_the_process_ends_in_peace(tmp_path):
    """HDF5 that could not write its file would end the process with a segmentation fault."""
    code = f"""
import resource, sys
import numpy as np, xarray as xr
from cortex_sim import recording
from cortex_sim.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
wide = xr.Dataset({{"rate": (("presentation", "neuroid"), np.random.default_rng(0).normal(size=(300, 100)))}})
try:
    recording.save(wide, sys.argv[1])
except DataError:
    sys.exit(7)
"""
    ended = subprocess.run([sys.executable, "-c", code, tmp_path / "r.nc"], capture_output=True, text=True)
    assert ended.returncode == 7, ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_simulation_on_a_full_disk_goes_on_once_there_is_room(tmp_path):
    net = cs.Network("two")
    retina, v1 = net.population("retina", 40), net.population("V1", 30)
    net.bottom_up(retina, v1)
    images = np.random.default_rng(0).normal(size=(20, 40))
    protocol = cs.Protocol(cs.Phase("see", 20, drive={"retina": images}), trials=100)
    experiment = cs.Experiment(net, {"intact": protocol})
    out = tmp_path / "s.nc"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    cs.torch.run(experiment, out=tmp_path / "whole.nc").close()
    chunks = 100 * 70 * 8 + 20_000  # room for the chunk, not for the file
    resource.setrlimit(resource.RLIMIT_FSIZE, (chunks, hard))
    try:
        with pytest.raises(
            RunError, match=r"s.nc: cannot be written \(File too large\); make room, then continue"
        ):
            cs.torch.run(experiment, out=out).close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not out.exists() and not list(tmp_path.rglob("*.part"))
    cs.torch.run(experiment, out=out, resume=True).close()
    assert out.read_bytes() == (tmp_path / "whole.nc").read_bytes()


def test_what_the_disk_did_not_take_can_still_be_read_by_hdf5(tmp_path, full_disk):
    """So that it closes the file without an error of its own."""
    values = np.random.default_rng(0).normal(size=(300, 100))
    with pytest.raises(OSError), guarded(tmp_path / "r.nc") as guard:
        with h5netcdf.File(guard, "w") as file:
            file.dimensions = {"presentation": 300, "neuroid": 100}
            file.create_variable("rate", ("presentation", "neuroid"), float, data=values)
        assert guard.failure is not None
        with h5netcdf.File(guard, "r") as file:
            np.testing.assert_array_equal(file.variables["rate"][:], values)
