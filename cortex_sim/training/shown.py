"""The preprocessing of a run, which is applied to everything presented to its network."""

from __future__ import annotations

from pathlib import Path

from cortex_sim.errors import RunError
from cortex_sim.network import Network
from cortex_sim.preprocessing import Preprocessing, by_source, from_data
from cortex_sim.runs.files import read_tensors
from cortex_sim.training.run import RUN, load_data, saved_settings


def preprocessing_of(checkpoint: Path, net: Network) -> Preprocessing:
    """The preprocessing with which a checkpoint's network was trained.

    It is read from the checkpoint; if that holds none, it is measured again on the run's data, named in the
    run.yaml next to the checkpoint.

    Raises
    ------
    RunError
        If neither exists: other data must not be standardised by their own mean and sd.
    """
    kept = _kept(checkpoint, net)
    if kept is not None:
        return kept
    if not (checkpoint.parent / RUN).is_file():
        raise RunError(
            f"checkpoint {checkpoint}: holds no preprocessing, and no {RUN} next to it names the data that "
            f"its network was trained on; give the run directory"
        )
    settings = saved_settings(checkpoint.parent)
    if not settings.standardise:
        return Preprocessing(net.populations[net.sources[0]].shape)
    return load_data(settings, net, standardise=False).preprocessing()


def _kept(checkpoint: Path, net: Network) -> Preprocessing | None:
    metadata, _ = read_tensors(checkpoint, "checkpoint")
    return by_source(net, from_data(metadata.get("preprocessing"))).get(net.sources[0])
