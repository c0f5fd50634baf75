"""Recordings: what every neuroid did in every presentation, as an xarray Dataset and as netCDF."""

from cortex_sim.recording.files import load, open_lazily, save
from cortex_sim.recording.making import make_recording
from cortex_sim.recording.nwb_out import write_nwb as save_nwb
from cortex_sim.recording.pynapple import to_pynapple
from cortex_sim.recording.selecting import select
from cortex_sim.recording.snapshots import state_of, weights_of

__all__ = ["load", "make_recording", "open_lazily", "save", "save_nwb", "select", "state_of", "to_pynapple"]
__all__ += ["weights_of"]
