"""The control with shifted stimuli: responses of the model to the preceding stimuli."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cortex_sim.compare.responses import Responses
from cortex_sim.errors import DataError


def shifted(model: Responses, by: int = 1) -> Responses:
    """The model's responses, shifted by ``by`` stimuli; the last ones come first.

    What they predict was not caused by the stimulus. With stimuli in the order of presentation, a score
    above 0 shows that neighbouring presentations are alike (drift, films, blocks), and that random folds
    leak: use blocked or grouped folds.

    Raises
    ------
    DataError
        If the shift would leave every response in its place.
    """
    if not isinstance(by, (int, np.integer)) or by % len(model) == 0:
        raise DataError(
            f"responses {model.name}: by must be a whole number that is not a multiple of the number of "
            f"stimuli, {len(model)}. Got {by!r}"
        )
    return replace(
        model,
        name=f"{model.name} shifted by {by}",
        values=np.roll(model.values, by, axis=0),
        repeats=None if model.repeats is None else np.roll(model.repeats, by, axis=1),
    )
