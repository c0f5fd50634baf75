"""evotorch, imported quietly and only when needed, and the state of its searchers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cortex_sim.errors import BuildError

_VERBOSITY = "EVOTORCH_VERBOSE_LEVEL"


def evotorch() -> Any:
    """The module, without the two log handlers it would put on standard output and error.

    The import takes about a second, since it loads ray, pandas and gymnasium. It does not start ray, and
    neither does a problem without actors.

    Raises
    ------
    BuildError
        If it is not installed.
    """
    chosen = os.environ.get(_VERBOSITY)
    os.environ.setdefault(_VERBOSITY, "-1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # evotorch 0.6.1 calls torch.jit.script
            import evotorch
            import evotorch.algorithms
    except ModuleNotFoundError as exception:
        raise BuildError(
            f"searchers pgpe, snes and cma_es need evotorch, but there is no module {exception.name}; "
            "pip install 'cortex-sim[tdca]', or choose nres, which does not need it"
        ) from None
    finally:
        if chosen is None:
            del os.environ[_VERBOSITY]
    return evotorch


@dataclass(frozen=True)
class Memory:
    """How the state of one kind of algorithm is saved as named tensors and restored."""

    save: Callable[[Any], dict[str, Tensor]]
    load: Callable[[Any, dict[str, Tensor]], None]
    centre: Callable[[Any], Tensor]
    sigma: Callable[[Any], Tensor]


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().as_subclass(torch.Tensor).clone()


def _save_gaussian(algorithm: Any) -> dict[str, Tensor]:
    """The distribution, ClipUp's velocity, and the last generation, from which the next step learns."""
    distribution, last, members = algorithm._distribution, algorithm._population, algorithm._popsize
    mu = _plain(distribution.mu)
    saved = {
        "centre": mu,
        "sigma": _plain(distribution.sigma),
        "generations": torch.tensor(algorithm.step_count),
        "values": mu.new_zeros(members, len(mu)) if last is None else _plain(last.values),
        "fitness": mu.new_zeros(members, 1) if last is None else _plain(last.evals),
    }
    if algorithm.optimizer is not None:
        saved["velocity"] = _plain(algorithm.optimizer._velocity)
    return saved


def _load_gaussian(algorithm: Any, saved: dict[str, Tensor]) -> None:
    algorithm._distribution = algorithm._distribution.modified_copy(mu=saved["centre"], sigma=saved["sigma"])
    if algorithm.optimizer is not None:
        algorithm.optimizer._velocity = saved["velocity"]
    algorithm._steps_count = int(saved["generations"])
    algorithm._first_iter = algorithm._steps_count == 0
    if algorithm._first_iter:
        algorithm._population = None
        return
    last = evotorch().SolutionBatch(algorithm.problem, popsize=algorithm._popsize, empty=True)
    last.set_values(saved["values"])
    last.set_evals(saved["fitness"])
    algorithm._population = last


def _save_covariance(algorithm: Any) -> dict[str, Tensor]:
    """Mean, step size, shape with its root, and both evolution paths (0 at the start, vectors later)."""
    m = _plain(algorithm.m)
    paths = {name: torch.as_tensor(getattr(algorithm, name), dtype=m.dtype) for name in ("p_sigma", "p_c")}
    return {
        "centre": m,
        "sigma": _plain(algorithm.sigma),
        "shape": _plain(algorithm.C),
        "root": _plain(algorithm.A).contiguous(),
        "generations": torch.tensor(algorithm.step_count),
        **{name: path.expand(len(m)).clone() for name, path in paths.items()},
    }


def _load_covariance(algorithm: Any, saved: dict[str, Tensor]) -> None:
    algorithm.m, algorithm.sigma = saved["centre"], saved["sigma"]
    algorithm.C = saved["shape"]
    # Column-major, as from Cholesky: in another order products would round differently.
    algorithm.A = saved["root"].T.contiguous().T if saved["root"].ndim == 2 else saved["root"]
    algorithm.p_sigma, algorithm.p_c = saved["p_sigma"], saved["p_c"]
    algorithm._steps_count = int(saved["generations"])


GAUSSIAN = Memory(
    _save_gaussian,
    _load_gaussian,
    lambda algorithm: _plain(algorithm._distribution.mu),
    lambda algorithm: _plain(algorithm._distribution.sigma),
)
COVARIANCE = Memory(
    _save_covariance,
    _load_covariance,
    lambda algorithm: _plain(algorithm.m),
    lambda algorithm: (
        algorithm.sigma * (algorithm.C if algorithm.separable else algorithm.C.diagonal()).sqrt()
    ),
)
