"""The control with shifted stimuli: responses of the model to the stimuli before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cortex_sim.compare.responses import Responses
from cortex_sim.errors import DataError


def shifted(model: Responses, by: int = 1) -> Responses:
    """The model's responses, each at the place of a stimulus ``by`` later; the last ones come first.

    What is predicted from them was not caused by the stimulus. With stimuli in the order of presentation, a
    score above 0 shows that neighbouring presentations are alike (drift, films, blocks), and that random
    folds leak: use blocked or grouped ones.

    Raises
    ------
    DataError
        If this would leave every stimulus where it is.
    """
    if not isinstance(by, (int, np.integer)) or by % len(model) == 0:
        raise DataError(
            f"responses {model.name}: shift by a whole number that is no multiple of its "
            f"{len(model)} stimuli. Got {by!r}"
        )
    return replace(
        model,
        name=f"{model.name} shifted by {by}",
        values=np.roll(model.values, by, axis=0),
        repeats=None if model.repeats is None else np.roll(model.repeats, by, axis=1),
    )
