"""How near two changes are, by direction and by length."""

import numpy as np


def cosine(a, b):
    a, b = np.ravel(a), np.ravel(b)
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def assert_direction(a, b, where=""):
    assert cosine(a, b) > 0.99999, f"{where}: cosine {cosine(a, b)}"


def assert_direction_and_length(a, b, where=""):
    assert_direction(a, b, where)
    ratio = np.linalg.norm(a) / np.linalg.norm(b)
    assert abs(ratio - 1) < 1e-4, f"{where}: length is {ratio} of the reference's"


def assert_changes(ours, theirs, check=assert_direction_and_length):
    """Every one of ours against the reference's of that name, reshaped to matrices."""
    assert ours
    for name, change in ours.items():
        check(np.reshape(change.detach().double().numpy(), theirs[name].shape), theirs[name], name)


def relative_error(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30)
