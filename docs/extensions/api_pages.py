"""Pages of the API reference, one per public package, written from what each package exports."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cortex_sim

FOLDER = Path("reference", "api")
COMMANDS = "cortex_sim.commands"  # has its own page, in the words that users type

#: Objects to which docstrings of a package's exported objects refer, and which are not exported themselves.
MET = {
    "cortex_sim": [
        "experiments.running.run",
        "experiments.seed_statistics.over_seeds",
        "experiments.sweeping.sweep",
        "protocol.plan.Session",
    ],
    "cortex_sim.compare": ["compare.metric.Evaluation", "compare.metric.Metric"],
    "cortex_sim.credit": ["credit.layered.plastic_values"],
    "cortex_sim.torch": [
        "backends.torch.changes.updates",
        "backends.torch.fitting.fit",
        "backends.torch.outputs.predict",
        "backends.torch.responding.respond",
    ],
}


def packages() -> list[ModuleType]:
    """`cortex_sim` and its subpackages that export something, the package itself first."""
    found = [
        importlib.import_module(f"cortex_sim.{info.name}")
        for info in pkgutil.iter_modules(cortex_sim.__path__)
        if info.ispkg and f"cortex_sim.{info.name}" != COMMANDS
    ]
    return [cortex_sim, *(package for package in found if getattr(package, "__all__", ()))]


def exported(package: ModuleType) -> Iterator[tuple[str, Any]]:
    """Names and objects that a package exports, packages excluded."""
    for name in sorted(package.__all__):
        value = getattr(package, name)
        if not inspect.ismodule(value):
            yield name, value


def homes() -> dict[str, dict[str, str]]:
    """Full name under which each export is documented, by package and name: that in the first exporter."""
    first: dict[int, str] = {}
    found: dict[str, dict[str, str]] = {}
    for package in packages():
        own = found[package.__name__] = {}
        for name, value in exported(package):
            own[name] = first.setdefault(id(value), f"{package.__name__}.{name}")
    return found


def page(package: ModuleType, documented: dict[str, str]) -> str:
    """Source of one package's page, with a table that makes a page for each object."""
    name = package.__name__
    here = [own for own, home in documented.items() if home == f"{name}.{own}"]
    elsewhere = {own: home for own, home in documented.items() if home != f"{name}.{own}"}
    lines = [name, "=" * len(name), "", f".. automodule:: {name}", "   :no-members:", ""]
    kinds = {"Classes": [], "Exceptions": [], "Functions": [], "Data": []}
    for own in here:
        kinds[kind(getattr(package, own))].append(own)
    for heading, names in kinds.items():
        if names:
            lines += [heading, "-" * len(heading), "", f".. currentmodule:: {name}", "", *table(names)]
    if MET.get(name):
        heading = "What these refer to"
        lines += [heading, "-" * len(heading), "", ".. currentmodule:: cortex_sim", "", *table(MET[name])]
    if elsewhere:
        heading = "Exported here too"
        lines += [heading, "-" * len(heading), ""]
        lines += [f"- ``{own}``: :py:obj:`{home}`" for own, home in elsewhere.items()]
    return "\n".join(lines)


def kind(value: Any) -> str:
    """Heading below which an object is listed."""
    if inspect.isclass(value):
        return "Exceptions" if issubclass(value, Exception) else "Classes"
    return "Functions" if callable(value) else "Data"


def table(names: list[str]) -> list[str]:
    """A table of objects, each with a page."""
    options = ["   :toctree: objects", "   :nosignatures:"]
    return [".. autosummary::", *options, "", *(f"   {name}" for name in names), ""]


def write(app: Any, _config: Any) -> None:
    """Write all pages, leave those that are up to date, and remove those of objects that no longer exist."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    found = homes()
    current = {home for documented in found.values() for home in documented.values()}
    current |= {f"cortex_sim.{name}" for names in MET.values() for name in names}
    for place in (folder / "objects").glob("*.rst"):
        if place.stem not in current:
            place.unlink()
    for package in packages():
        place = folder / f"{package.__name__}.rst"
        text = page(package, found[package.__name__])
        if not place.exists() or place.read_text("utf-8") != text:
            place.write_text(text, "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for sources."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
