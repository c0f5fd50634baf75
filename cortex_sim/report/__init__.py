"""Comparisons carried out and written down: what is compared, the table, its figures.

`compare` is what ``cortex-sim compare`` does, in Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cortex_sim.report.studying import Result

__all__ = ["compare"]


def compare(
    models: Mapping[str, Any] | Sequence[str],
    neural: Any,
    *,
    metrics: Sequence[Any] | None = None,
    populations: Sequence[str] = (),
    stimuli: Any = None,
    like: str | None = None,
    controls: bool = True,
    over_time: bool = False,
    window_ms: tuple[float, float] | None = None,
    bin_ms: float | None = None,
    model_window_ms: tuple[float, float] | None = None,
    pool: str | None = None,
    simulations: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Result:
    """Compare responses with neural data: scores with ceilings, intervals and controls.

    Parameters
    ----------
    models : mapping of str to recordings, or sequence of str
        By name: a recording (an xarray Dataset, or its path), a run, a model's name, ``"pixels"`` or
        ``"gabor"``; a list of them is one model trained from several seeds. Or a list of what the command
        takes.
    neural : path, Dataset, Responses or Dissimilarities, or mapping of str to these
        What `cortex_sim.neural.load` reads or returns.
    metrics : sequence of str or of Metric, optional
        Names as for the command, or metrics themselves, with any settings; by default ridge and rsa.
    populations : sequence of str
        By default all but the stimulated one.
    stimuli : StimulusSet or path, optional
        Needed by everything but recordings; by default what the file of neural data holds.
    like : str, optional
        Run or data set whose preprocessing untrained models get; a trained one keeps its own.
    controls : bool, default True
        Shifted and permuted stimuli, and untrained networks.
    over_time : bool, default False
        A row for each time bin of the data, or of a recording. What has no time bins is compared with each.
    window_ms : (start, end), optional
        Window of the data, in ms, that is averaged, or, with ``over_time``, compared bin by bin.
    bin_ms : float, optional
        Width of the bins into which spike times are counted with ``over_time``, in ms.
    model_window_ms : (start, end), optional
        Window of the models' recordings, in ms, that is averaged.
    pool : {"sessions", "animals"}, optional
        Add rows that are pooled over the data sets, by the hierarchical bootstrap.
    simulations : int, default 0
        Simulations from each model, for model recovery; 0 for none.
    level : float, default 0.95
        Confidence level of the intervals.
    resamples : int, default 1000
        Bootstrap resamples from which intervals are computed.
    seed : int, default 0
        Of folds, halves of repeats and resamples.

    Returns
    -------
    Result
        ``print`` shows the table; ``rows`` holds it, ``write(folder)`` writes it with its figures.

    Raises
    ------
    DataError
        If something is missing or does not fit, before anything is computed.

    Examples
    --------
    >>> import numpy as np
    >>> import cortex_sim as cs
    >>> from cortex_sim.compare.responses import Responses
    >>> rates = np.random.default_rng(0).normal(size=(30, 5))
    >>> area = Responses("V4", range(30), rates[:, :4])
    >>> found = cs.report.compare({"V1": Responses("V1", range(30), rates)}, area, metrics=["rsa"])
    >>> found.rows[0]["score"] > 0.5
    True
    """
    from cortex_sim.report.asking import asked
    from cortex_sim.report.comparing import Settings
    from cortex_sim.report.studying import Study, studied
    from cortex_sim.report.timing import Time

    time = Time(over_time, window_ms, model_window_ms, bin_ms)
    found = asked(models, neural, metrics, populations, stimuli, like, controls, time, pool)
    settings = Settings(seed, level, resamples, controls)
    return studied(
        Study(tuple(found.entries), found.data, tuple(found.metrics), settings, simulations, pool, found.own)
    )
