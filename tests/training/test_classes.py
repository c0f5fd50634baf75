"""Classes are found by their names: other sets hold some of them, or number them in another order."""

import numpy as np
import pytest

from cortex_sim.data import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.responding import respond_to
from cortex_sim.training.run import train
from cortex_sim.training.scoring import score

NAMES = np.array(["cat", "dog", "fox"])


@pytest.fixture(scope="module")
def sets(work, tmp_path_factory):
    """Paths of sets with named classes: all, turned round, two of them, one unknown, other names."""
    folder = tmp_path_factory.mktemp("sets")
    with np.load(work / "tiny.npz") as arrays:
        data = dict(arrays)
    turned = {name: (data[name] + 1) % 3 for name in ("y_train", "y_test")}
    kept = {}
    for part in ("train", "test"):
        some = data[f"y_{part}"] > 0
        kept |= {f"x_{part}": data[f"x_{part}"][some], f"y_{part}": data[f"y_{part}"][some] - 1}
    for name, arrays, classes in (
        ("all", data, NAMES),
        ("turned", {**data, **turned}, np.roll(NAMES, 1)),
        ("some", kept, NAMES[1:]),
        ("unknown", data, ["cat", "dog", "owl"]),
        ("other", data, ["chat", "chien", "renard"]),
    ):
        np.savez(folder / f"{name}.npz", **arrays, classes=classes)
    return {path.stem: str(path) for path in folder.iterdir()}


def test_classes_are_found_by_their_names(sets, settings, no_figure, tmp_path, caplog):
    out = tmp_path / "run"
    train(settings(data=sets["all"], epochs=1), out)
    first = score(out)["per_class"]
    assert len({str(one) for one in first.values()}) > 1  # so that a confusion would be seen
    assert score(out, sets["turned"])["per_class"] == first
    assert score(out, sets["some"])["per_class"] == {name: first[name] for name in NAMES[1:]}
    with pytest.raises(DataError, match="such as 'owl', that are not among the 3 that run was trained on"):
        score(out, sets["unknown"])
    assert list(score(out, sets["other"])["per_class"].values()) == list(first.values())
    assert "chat, chien, renard count as cat, dog, fox, in this order" in caplog.text
    credit = {}
    for name in ("all", "turned"):
        with np.load(sets[name]) as data:
            shown = data["x_test"], data["y_test"], data["classes"].tolist()
        stimuli = StimulusSet(shown[0], labels=shown[1], classes=shown[2])
        credit[name] = respond_to(out, stimuli, variables=["credit"]).credit.values
    np.testing.assert_array_equal(credit["all"], credit["turned"])
    train(settings(data=sets["turned"], epochs=1, start=str(out)), tmp_path / "further")
    assert "unit 0 stands for class fox, but for cat in the run that this one starts from" in caplog.text
