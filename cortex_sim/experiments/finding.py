"""Finds experiments: in a shipped protocol, a user's Python file, or a YAML file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from cortex_sim import library, yaml_text
from cortex_sim.checks import require_known
from cortex_sim.errors import DeclarationError
from cortex_sim.experiments.experiment import Experiment
from cortex_sim.experiments.experiment_yaml import experiment_from_data

#: Names that a protocol's Python file may define: ``experiment(seed)``, or the command that runs it.
FUNCTION, OTHERWISE = "experiment", "RUN_BY"


def names() -> list[str]:
    """Names of the shipped protocols that are single files; those in folders are configurations."""
    return [name for name in library.names("protocols") if "/" not in name]


def command_of(name: str) -> str:
    """Command that runs a shipped protocol, or a shipped configuration such as ``papers/gait_2020_tower``."""
    folder, slash, own = name.rpartition("/")
    if slash:
        if folder == "tdca":
            return f"cortex-sim evolve {own} --out DIR"
        return f"cortex-sim train --config {name} --out DIR"
    otherwise = getattr(library.load_module("protocols", name), OTHERWISE, None)
    return otherwise or f"cortex-sim simulate {name} --out FILE.nc"


def experiment(name_or_path: str, seed: int = 0) -> Experiment:
    """Experiment of a shipped protocol, of a Python file or of a YAML file.

    Parameters
    ----------
    name_or_path : str
        A name of `names`; ``path/to/file.py`` or ``path/to/file.py:function``, whose function
        (``experiment`` if none is given) takes a seed; or a ``.yaml`` file. Python files are executed: give
        only those that you trust. The working directory is never searched for names.
    seed : int, default 0
        Passed to the function; in YAML, used for data sets declared without a seed.

    Raises
    ------
    DeclarationError
        If there is no such protocol, or it is of another kind; the message then gives the command that
        runs it.
    """
    if not isinstance(name_or_path, str) or not name_or_path:
        raise DeclarationError(f"protocol: give a name, a .py or a .yaml file. Got {name_or_path!r}")
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return _from_yaml(name_or_path, seed)
    with library.errors_of(f"protocol {name_or_path}"):
        found = _function(name_or_path)(seed=seed)
    if not isinstance(found, Experiment):
        raise DeclarationError(
            f"protocol {name_or_path}: its function must return a cs.Experiment. Got {type(found).__name__}"
        )
    return found


def function_of(name: str) -> Callable[..., Any] | None:
    """The function of a shipped protocol or Python file that makes its experiment; None for a YAML file."""
    if Path(name).suffix in (".yaml", ".yml"):
        return None
    with library.errors_of(f"protocol {name}"):
        return _function(name)


def _function(name: str) -> Callable[..., Any]:
    if ".py:" in name:
        return library.own("protocol", name)
    if name.endswith(".py"):
        return library.own("protocol", f"{name}:{FUNCTION}")
    _refuse_configuration(name)
    require_known("protocol", name, dict.fromkeys(names()))
    module = library.load_module("protocols", name)
    return getattr(module, FUNCTION, None) or _refuse(name, module)


def _refuse_configuration(name: str) -> None:
    if "/" in name and name in library.names("protocols"):
        raise DeclarationError(
            f"protocol {name} is run by: cortex-sim train --config {name} --out DIR (it is a training run's "
            f"configuration; simulate runs {', '.join(names()) or 'a .py or .yaml file of your own'})"
        )


def _refuse(name: str, module: ModuleType) -> NoReturn:
    command = getattr(module, OTHERWISE, None)
    if command:
        raise DeclarationError(f"protocol {name} is run by: {command}")
    raise DeclarationError(f"protocol {name}: its file has no function experiment(seed)")


def _from_yaml(path: str, seed: int) -> Experiment:
    data = yaml_text.read("protocol", Path(path))
    if isinstance(data, dict) and "arms" not in data and "optimiser" in data:
        raise DeclarationError(f"protocol {path} is run by: cortex-sim train --config {path} --out DIR")
    return experiment_from_data(data, seed)
