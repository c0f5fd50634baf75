"""A run recorded from as Brain-Score would: what it answers is what `respond_to` gives."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cortex_sim.data import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.responding import Subject, respond_to

BINS = [(70, 170), (170, 270)]


class Stimuli(pd.DataFrame):
    """A table of stimuli with paths, as benchmarks hand it over."""

    _metadata = ("paths",)

    def get_stimulus(self, stimulus_id):
        return self.paths[stimulus_id]


@pytest.fixture
def shown(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
    paths = {f"s{i}": tmp_path / f"{i}.png" for i in range(4)}
    for path, picture in zip(paths.values(), pixels, strict=True):
        Image.fromarray(picture).save(path)
    table = Stimuli({"stimulus_id": list(paths), "object": list("abab")})
    table.paths = paths
    return table, pixels


def test_it_answers_as_the_network_does(run, shown):
    table, pixels = shown
    subject = Subject(run, {"V4": "V2"}, degrees=8)
    assert subject.visual_degrees() == 8 and subject.identifier == "done"
    subject.start_recording("V4", BINS)
    seen = subject.look_at(table, number_of_trials=10)
    assert seen.dims == ("presentation", "neuroid", "time_bin") and seen.shape == (4, 7, 2)
    direct = respond_to(run, StimulusSet(pixels), populations=["V2"], variables=["rate"])["rate"].values
    np.testing.assert_array_equal(seen.values[..., 0], direct)
    np.testing.assert_array_equal(seen.values[..., 1], direct)
    assert seen.stimulus_id.values.tolist() == ["s0", "s1", "s2", "s3"]
    assert seen["object"].values.tolist() == list("abab")
    assert set(seen.region.values) == {"V4"} and seen.neuroid_id.values[2] == "V2/2"
    assert seen.time_bin_start.values.tolist() == [70, 170]


def test_paths_will_do_and_the_assembly_is_ones_own(run, shown):
    table, _ = shown
    subject = Subject(run, {"V4": "V2", "IT": "IT"}, assembly=lambda array: array.mean("neuroid"))
    subject.start_recording("IT", BINS[:1])
    seen = subject.look_at(list(table.paths.values()))
    assert seen.dims == ("presentation", "time_bin")
    assert seen.stimulus_id.values.tolist() == ["0.png", "1.png", "2.png", "3.png"]


def test_what_cannot_be_recorded_is_said(run, shown, tmp_path):
    table, _ = shown
    with pytest.raises(DataError, match="population of area V4 'V9'"):
        Subject(run, {"V4": "V9"})
    subject = Subject(run, {"V4": "V2"})
    with pytest.raises(DataError, match="call start_recording before look_at"):
        subject.look_at(table)
    with pytest.raises(DataError, match="area to record from 'IT'"):
        subject.start_recording("IT", BINS)
    with pytest.raises(DataError, match="pairs"):
        subject.start_recording("V4", [(100, 50)])
    subject.start_recording("V4", BINS)
    with pytest.raises(DataError, match="no file"):
        subject.look_at([tmp_path / "none.png"])
    with pytest.raises(DataError, match="need a column stimulus_id"):
        named = Stimuli({"image": ["s0"]})
        named.paths = table.paths
        subject.look_at(named)
