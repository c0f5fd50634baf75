"""Small NWB files, written by pynwb alone."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pynwb import NWBHDF5IO, NWBFile
from pynwb.ecephys import ElectrodeGroup
from pynwb.epoch import TimeIntervals
from pynwb.file import Subject
from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel

START = datetime(2021, 5, 4, 12, 30, tzinfo=UTC)


def new(**given):
    return NWBFile(
        session_description="natural images",
        identifier="made for a test",
        session_start_time=START,
        **{"session_id": "session7", "subject": Subject(subject_id="monkey1", age="P5Y", sex="F"), **given},
    )


def write(file: NWBFile, path: Path) -> Path:
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def add_electrodes(file, locations):
    device = file.create_device(name="probe")
    group = ElectrodeGroup(name="array", description="array", location="V4", device=device)
    file.add_electrode_group(group)
    for location in locations:
        file.add_electrode(location=location, group=group)


def add_units(file, trains, electrodes=None, observed=None):
    """Units with spike times in s, and the electrodes of each."""
    for i, train in enumerate(trains):
        known = {} if electrodes is None else {"electrodes": electrodes[i]}
        if observed is not None:
            known["obs_intervals"] = observed[i]
        file.add_unit(spike_times=np.asarray(train, dtype=float), **known)


def add_trials(file, start, stop, **columns):
    """Trials with further columns, one value each."""
    for name in columns:
        file.add_trial_column(name=name, description=f"the {name}")
    for i, (begin, end) in enumerate(zip(start, stop, strict=True)):
        file.add_trial(start_time=float(begin), stop_time=float(end), **{k: v[i] for k, v in columns.items()})


def add_intervals(file, name, start, stop, **columns):
    table = TimeIntervals(name=name, description=name)
    for column in columns:
        table.add_column(name=column, description=column)
    for i, (begin, end) in enumerate(zip(start, stop, strict=True)):
        table.add_interval(
            start_time=float(begin), stop_time=float(end), **{k: v[i] for k, v in columns.items()}
        )
    file.add_time_intervals(table)


def add_rois(file, planes, kind="DfOverF", module="ophys", **series):
    """Response series: name of the plane, or NAME@PLANE, to (data, area, compartments or None)."""
    device = file.devices.get("microscope") or file.create_device(name="microscope")
    room = file.processing.get(module) or file.create_processing_module(name=module, description="imaging")
    segmentation = ImageSegmentation(name=f"segmentation_{kind}")
    room.add(segmentation)
    container = DfOverF(name=kind)
    room.add(container)
    for name, (data, area, compartments) in planes.items():
        plane_name = name.split("@")[-1]
        plane = file.imaging_planes.get(plane_name) or file.create_imaging_plane(
            name=plane_name,
            description="plane",
            location=area,
            indicator="GCaMP6f",
            device=device,
            excitation_lambda=920.0,
            imaging_rate=30.0,
            optical_channel=OpticalChannel(name="green", description="green", emission_lambda=510.0),
        )
        table = segmentation.create_plane_segmentation(
            name=f"cells_{name}", description="cells", imaging_plane=plane
        )
        for roi in range(data.shape[1]):
            table.add_roi(id=100 + roi, pixel_mask=[(roi, roi, 1.0)])
        if compartments is not None:
            table.add_column(name="compartment", description="compartment", data=list(compartments))
        region = table.create_roi_table_region(region=list(range(data.shape[1])), description="all")
        container.create_roi_response_series(name=f"{name}_{kind}", data=data, rois=region, **series)
