"""The 8 x 8 handwritten digits inside scikit-learn: real, tiny, and always available."""

from __future__ import annotations

from cortex_sim.data.arrays import whole_number
from cortex_sim.data.images import ImageSet, image_set

N_TEST = 297


def digits(seed: int = 0) -> ImageSet:
    """Return 1500 digits to train and 297 to test, as (presentation, 64), grey levels in 0..1.

    Parameters
    ----------
    seed : int, default 0
        Which digits are tested; every class keeps its share.

    References
    ----------
    Alpaydin, Kaynak (1998), UCI repository, doi:10.24432/C50P49; the 1797 digits of its test set.

    Examples
    --------
    >>> digits()
    ImageSet('digits': 1500 to train, 297 to test, stimuli (64,), 10 classes)
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    seed = whole_number("digits", "seed", seed, 0, 2**32 - 1)
    bunch = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        bunch.data / 16,  # grey levels come as 0..16
        bunch.target,
        test_size=N_TEST,
        stratify=bunch.target,
        random_state=seed,
    )
    return image_set("digits", x_train, y_train, x_test, y_test)
