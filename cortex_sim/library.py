"""Where models and protocols are found: in the installed package, or next to it in its repository."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zlib import crc32

from cortex_sim.calling import known_arguments
from cortex_sim.checks import require_known
from cortex_sim.errors import CortexSimError, DeclarationError

if TYPE_CHECKING:
    from cortex_sim.network import Network

_PACKAGE = Path(__file__).resolve().parent


def folder(kind: str) -> Path:
    """Folder of ``models`` or ``protocols``.

    Raises
    ------
    DeclarationError
        If the installation has no such folder; the working directory is never searched.
    """
    inside = _PACKAGE / kind
    if inside.is_dir():
        return inside
    project = _PACKAGE.parent / "pyproject.toml"
    sibling = _PACKAGE.parent / kind
    if sibling.is_dir() and project.is_file():
        named = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("name")
        if named == "cortex-sim":
            return sibling
    raise DeclarationError(f"this installation has no {kind}; reinstall cortex-sim")


def names(kind: str) -> list[str]:
    """Names of the shipped models or protocols; configurations of training runs as ``folder/name``."""
    place = folder(kind)
    scripts = [p.stem for p in place.glob("*.py") if not p.stem.startswith("_")]
    configurations = [p.relative_to(place).with_suffix("").as_posix() for p in place.glob("*/*.yaml")]
    return sorted(scripts + [name for name in configurations if not name.startswith("defaults/")])


def configuration(name: str) -> Path:
    """File of a configuration: a user's path, or a shipped one such as ``papers/gait_2020_tower``.

    Raises
    ------
    DeclarationError
        If it is neither.
    """
    own, shipped = Path(name), folder("protocols") / f"{name}.yaml"
    if own.exists() or own.suffix:
        return own
    if name not in names("protocols") or not shipped.is_file():
        known = [n for n in names("protocols") if "/" in n]
        raise DeclarationError(f"no configuration {name!r}: no such file, and none of {', '.join(known)}")
    return shipped


def load_module(kind: str, name: str) -> ModuleType:
    """Module ``cortex_sim.KIND.NAME``, importable under that name, also by worker processes."""
    require_known(kind.removesuffix("s"), name, dict.fromkeys(names(kind)))
    return _load(f"cortex_sim.{kind}.{name}", folder(kind) / f"{name}.py")


def _load(full_name: str, path: Path) -> ModuleType:
    if full_name in sys.modules:
        return sys.modules[full_name]
    spec = importlib.util.spec_from_file_location(full_name, path)
    if spec is None or spec.loader is None:
        raise DeclarationError(f"{path}: cannot be read as a Python file; give one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[full_name]
        raise
    return module


def own(kind: str, target: str) -> Callable[..., Any]:
    """Function in a user's file, given as ``path/to/file.py:function``."""
    path, _, function = target.rpartition(":")
    file = Path(path)
    if not file.is_file():
        raise DeclarationError(f"{kind} {target}: no file {file}; give path/to/file.py:function")
    place = crc32(str(file.resolve()).encode())  # two files of the same name are two modules
    module = _load(f"cortex_sim_user_{file.stem}_{place:08x}", file)
    found = getattr(module, function, None)
    if not callable(found):
        raise DeclarationError(
            f"{kind} {target}: {file.name} has no function {function!r}; define it there, or name another "
            f"as {file.name}:function"
        )
    return found


def _functions_of(file: Path) -> str:
    """What to give instead of a file alone: the file with one of its functions. It is read, not run."""
    if not file.is_file():
        return f"no file {file}; give path/to/file.py:function"
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return f"name the function that makes the network, as {file}:function"
    functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
    if not functions:
        return f"{file.name} has no function; write one that returns a Network, and give {file}:function"
    choice = " or ".join(f"{file}:{name}" for name in functions[:3])
    return f"name the function that makes the network, such as {choice}"


@known_arguments("cs.model")
def model(name: str, **settings: Any) -> Network:
    """Network declared by a shipped model ("gait_tower") or by ``path/to/file.py:function``.

    Parameters
    ----------
    name : str
        Name of the model, or a file and its function. The file is run: give only files that you trust.
    **settings
        Arguments of the model's function, such as ``classes=100``.

    Returns
    -------
    Network

    Raises
    ------
    DeclarationError
        If there is no such model, file or function, or its code fails or returns something else.
    """
    if not isinstance(name, str):
        raise DeclarationError(f"model: give a name, or path/to/file.py:function. Got {name!r}")
    with errors_of(f"model {name}"):
        if name.endswith(".py"):
            raise DeclarationError(f"model {name}: {_functions_of(Path(name))}")
        build = own("model", name) if ".py:" in name else getattr(load_module("models", name), name)
        _require_known(f"model {name}", build, settings)
        net = build(**settings)
    if not hasattr(net, "bottom_ups"):
        raise DeclarationError(f"model {name}: its function must return a Network. Got {net!r}")
    return net


def _require_known(owner: str, function: Any, settings: Mapping[str, Any]) -> None:
    known = inspect.signature(function).parameters if callable(function) else {}
    for setting in settings:
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            require_known(f"setting of {owner}", setting, known)


@contextmanager
def errors_of(owner: str) -> Iterator[None]:
    """Turn an exception in the code of a model or protocol into a `DeclarationError` that names that code."""
    try:
        yield
    except CortexSimError:
        raise
    except (Exception, SystemExit) as exception:
        raise DeclarationError(f"{owner}: {place_of(exception)}") from exception


def _is_ours(path: Path) -> bool:
    """Whether a file is the package's own code, rather than the code of a model or protocol."""
    inside = path.is_relative_to(_PACKAGE)
    return inside and path.relative_to(_PACKAGE).parts[0] not in ("models", "protocols")


def place_of(error: BaseException) -> str:
    """The exception, with the file and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not (f.filename.startswith("<") or _is_ours(Path(f.filename)))]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{place}"
