"""RDMs from arrays, squares and triangles, and from HDF5 that rsatoolbox writes."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from cortex_sim import neural
from cortex_sim.errors import DataError

N, PAIRS = 5, 10


def squares(triangles):
    """Symmetric matrices, entry by entry."""
    triangles = np.asarray(triangles, float)
    full = np.zeros((*triangles.shape[:-1], N, N))
    k = 0
    for i in range(N):
        for j in range(i + 1, N):
            full[..., i, j] = full[..., j, i] = triangles[..., k]
            k += 1
    return full


@pytest.fixture
def triangles():
    return np.random.default_rng(0).random((2, 3, PAIRS))


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_triangles_and_squares_are_the_same(tmp_path, triangles, square, leading):
    values = triangles[(0,) * (2 - len(leading))]
    path = saved(tmp_path / "r.npz", rdms=squares(values) if square else values, measure="1 - r")
    loaded = neural.load(path)
    assert loaded.dissimilarity.dims == ("rdm", "pair")
    np.testing.assert_array_equal(loaded.dissimilarity.values, values.reshape(-1, PAIRS))
    assert loaded.stimulus_id.values.tolist() == list("01234") and loaded.attrs["measure"] == "1 - r"


def test_subjects_and_sessions_are_labelled(tmp_path, triangles):
    path = saved(tmp_path / "r.npz", rdms=triangles, subjects=np.array(["BE", "KO"]), other=np.ones(3))
    loaded = neural.load(path)
    assert loaded.animal.values.tolist() == ["BE"] * 3 + ["KO"] * 3
    assert loaded.session.values.tolist() == ["0", "1", "2"] * 2
    one = neural.load(path, animal="KO")
    np.testing.assert_array_equal(one.dissimilarity.values, triangles[1])
    with pytest.raises(DataError, match="has no session '7'; known: 0, 1, 2"):
        neural.load(path, session="7")


def test_sessions_may_come_first_where_the_names_say_so(tmp_path, triangles):
    path = saved(tmp_path / "r.npz", rdms=triangles, subjects=np.array(["BE", "KO", "SN"]))
    loaded = neural.load(path)
    assert loaded.animal.values.tolist() == ["BE", "KO", "SN"] * 2
    assert loaded.session.values.tolist() == ["0"] * 3 + ["1"] * 3


@pytest.mark.parametrize(
    "name, more, key, labels",
    [
        ("rdms", {"subjects": np.array(["a", "b", "c"])}, "animal", ["a", "b", "c"]),
        ("rdms", {"session": np.array([4, 5, 6])}, "session", ["4", "5", "6"]),
        ("rdm_by_session", {}, "session", ["0", "1", "2"]),
        ("rdm_of_subjects", {}, "animal", ["0", "1", "2"]),
        ("rdms", {"model_names": np.array(["x", "y", "z"])}, "rdm_id", ["x", "y", "z"]),
        ("rdms", {}, "rdm_id", ["0", "1", "2"]),
    ],
)
def test_one_leading_axis(tmp_path, triangles, name, more, key, labels):
    loaded = neural.load(saved(tmp_path / "r.npz", **{name: triangles[0]}, **more))
    assert loaded[key].dims == ("rdm",) and loaded[key].values.tolist() == labels


def test_an_array_of_another_name_is_known_by_its_pairs(tmp_path, triangles):
    ids = np.array(list("abcde"))
    path = saved(tmp_path / "r.npz", monkey=triangles[0, 0], human=triangles[1], stimulus_id=ids)
    with pytest.raises(DataError, match=r"which array\? Give .*r.npz:KEY, one of human, monkey$"):
        neural.load(path)
    loaded = neural.load(f"{path}:monkey", stimuli=list("edcba"))
    np.testing.assert_array_equal(loaded.dissimilarity.values, triangles[0, :1])
    assert loaded.stimulus_id.values.tolist() == list("abcde")


def test_a_square_of_responses_is_not_taken_for_an_rdm(tmp_path):
    rate = np.random.default_rng(0).random((N, N))
    path = saved(tmp_path / "r.npz", mine=rate, stimulus_id=np.array(list("abcde")))
    assert "rate" in neural.load(f"{path}:mine")


def test_missing_pairs_are_nan(tmp_path, triangles):
    triangles[0, 0, 3] = np.nan
    for values in (triangles[0], squares(triangles[0])):
        loaded = neural.load(saved(tmp_path / "r.npz", rdms=values))
        np.testing.assert_array_equal(loaded.dissimilarity.values, triangles[0])


WRONG = {
    "no triangle": ({"rdm": np.arange(9.0)}, "not the n (n - 1) / 2 pairs of n stimuli"),
    "not symmetric": ({"rdm": np.random.default_rng(0).random((N, N))}, "not symmetric with zeros"),
    "diagonal": ({"rdm": np.ones((N, N))}, "not symmetric with zeros on the diagonal"),
    "three axes before the pairs": ({"rdm": np.ones((2, 2, 2, PAIRS))}, "give (rdm, pair), (subject,"),
    "ids of another number": (
        {"rdm": np.arange(10.0), "stimulus_id": np.arange(4)},
        "rdm has 5 stimuli, but stimulus_id has 4 entries",
    ),
    "ids twice": (
        {"rdm": np.arange(10.0), "stimulus_id": np.array(list("abcda"))},
        "holds 'a' more than once",
    ),
    "pictures": (
        {"rdm": np.arange(10.0), "images": np.zeros((4, 8, 8), np.uint8)},
        "the file holds 4 pictures",
    ),
    "infinite": ({"rdm": np.array([1, 2, np.inf])}, "infinite dissimilarities"),
    "nothing measured": ({"rdm": np.array([[1, 2, 3], [np.nan] * 3])}, "RDM 1 is NaN throughout"),
    "all alike": ({"rdm": np.ones(3)}, "all dissimilarities are equal"),
    "two stimuli": ({"rdm": np.ones(1)}, "at least 3 stimuli. Got 2"),
    "text": ({"rdm": np.array(["a", "b", "c"])}, "rdm has shape (3,) and holds text"),
    "empty": ({"rdm": np.ones((0, 3))}, "rdm has shape (0, 3)"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_rdm_is_refused_in_one_line(tmp_path, wrong):
    arrays, said = WRONG[wrong]
    path = saved(tmp_path / "r.npz", **arrays)
    with pytest.raises(DataError) as caught:
        neural.load(f"{path}:rdm")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_constant_rdm_among_others_is_counted(tmp_path, triangles):
    triangles[0, 1] = 0.5
    loaded = neural.load(saved(tmp_path / "r.npz", rdms=triangles[0]))
    assert loaded.attrs["constant_rdms"] == "[1]"


def rsatoolbox_file(path, values, patterns, **rdm_descriptors):
    from rsatoolbox.rdm import RDMs

    RDMs(
        values,
        dissimilarity_measure="correlation",
        pattern_descriptors=patterns,
        rdm_descriptors=rdm_descriptors,
        descriptors={"lab": "x"},
    ).save(str(path))
    return path


@pytest.mark.parametrize("suffix", ["h5", "hdf5"])
@pytest.mark.parametrize("name", ["stimulus_id", "conds", "anything"])
def test_rsatoolbox_files_are_read_as_rsatoolbox_reads_them(tmp_path, triangles, suffix, name):
    from rsatoolbox.rdm import load_rdm

    path = rsatoolbox_file(
        tmp_path / f"r.{suffix}",
        triangles[0],
        {name: list("abcde")},
        subject=["x", "y", "z"],
        session=[1, 2, 3],
    )
    loaded, theirs = neural.load(path), load_rdm(str(path), "hdf5")
    np.testing.assert_array_equal(loaded.dissimilarity.values, theirs.dissimilarities)
    assert loaded.stimulus_id.values.tolist() == list(theirs.pattern_descriptors[name])
    assert loaded.animal.values.tolist() == ["x", "y", "z"]
    assert loaded.session.values.tolist() == ["1", "2", "3"]
    assert loaded.attrs["measure"] == theirs.dissimilarity_measure == "correlation"


def test_rsatoolbox_files_without_names_are_numbered(tmp_path, triangles):
    loaded = neural.load(rsatoolbox_file(tmp_path / "r.h5", triangles[0], {}))
    assert loaded.stimulus_id.values.tolist() == list("01234")


def test_two_descriptors_that_could_name_the_stimuli_are_refused(tmp_path, triangles):
    path = rsatoolbox_file(tmp_path / "r.h5", triangles[0], {"one": list("abcde"), "two": list("fghij")})
    with pytest.raises(DataError, match="Rename one of one, two to stimulus_id"):
        neural.load(path)


def test_a_damaged_shape_in_a_rsatoolbox_file_is_one_line(tmp_path, triangles):
    path = rsatoolbox_file(tmp_path / "r.h5", triangles[0], {})
    with h5py.File(path, "r+") as file:
        del file["dissimilarities"]
        file["dissimilarities"] = np.ones((2, 9))
    with pytest.raises(DataError, match=r"9 entries per RDM, not the n \(n - 1\) / 2 pairs"):
        neural.load(path)
