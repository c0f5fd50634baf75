"""One home for each idea: what the package's own source may and may not hold."""

import ast
from dataclasses import fields, is_dataclass
from pathlib import Path

import networkx as nx
import pytest

import cortex_sim
from cortex_sim import capabilities

HOME = Path(cortex_sim.__file__).parent
CONNECTORS = {"Dense", "Conv2d", "Identity", "AveragePool2d", "GlobalAveragePool2d", "MaxPool2d"}
KERNEL = {"kernel", "stride", "padding", "dilation"}
# Checks of a declaration, none of which runs a connector's linear algebra.
ALLOWED = {
    ("validation.py", "if not (projection.is_top_down or isinstance(projection.connector, Dense)):"),
    ("validation.py", "if isinstance(link, Conv2d) or not has_weights(link):"),
    ("validation.py", "if source.dense_only and not isinstance(projection.connector, Dense):"),
    (
        "rules/checking.py",
        "if len(inputs) > 1 or len(onward) > 1 or not isinstance(inputs[0].connector, Dense):",
    ),
}


def sources():
    """Every file but the operators' and the connectors' own, as trees."""
    for path in sorted(HOME.rglob("*.py")):
        name = path.relative_to(HOME).as_posix()
        if not name.startswith("operators/") and name != "connectors.py":
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def names_in(node):
    """Every name and attribute below a node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


def is_connector(node):
    """Whether an expression speaks of a connector."""
    return "connector" in set(names_in(node))


def branches(tree):
    """Lines that branch on a connector's class, its name, or its kernel's attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            asks = node.func.id in ("isinstance", "issubclass") and len(node.args) == 2
            if asks and CONNECTORS & set(names_in(node.args[1])):
                yield node.lineno
        if isinstance(node, ast.Compare):
            asked = set(names_in(node))
            if asked & {"type", "__name__"} and (CONNECTORS & asked or is_connector(node)):
                yield node.lineno
        if isinstance(node, ast.MatchClass) and CONNECTORS & set(names_in(node.cls)):
            yield node.lineno
        if isinstance(node, ast.Attribute) and node.attr in KERNEL and is_connector(node.value):
            yield node.lineno


WEIGHTS = {"w", "b", "weight", "weights", "matrix", "given", "drawn", "kernel", "values", "shape"}


def ranks(tree):
    """Lines that compare the rank of weights: ``w.ndim == 4``, ``b.dim() == 4``, ``len(shape) == 4``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            continue
        sides, asked = [node.left, *node.comparators], set(names_in(node))
        four = any(isinstance(side, ast.Constant) and side.value == 4 for side in sides)
        if four and asked & {"ndim", "dim", "len"} and asked & WEIGHTS:
            yield node.lineno


def test_only_operators_know_what_a_connector_is():
    found = {(name, line) for name, tree in sources() for line in {*branches(tree), *ranks(tree)}}
    assert {(name, line) for name, line in found if not allowed(name, line)} == set()
    assert len(ALLOWED) <= 5


def allowed(name, line):
    text = (HOME / name).read_text(encoding="utf-8").splitlines()[line - 1].strip()
    return (name, text) in ALLOWED


@pytest.mark.parametrize(
    "planted",
    [
        "isinstance(p.connector, Conv2d)",
        "type(p.connector) is Identity",
        "type(p.connector).__name__ == 'Conv2d'",
        "p.connector.kernel",
        "len(shape) == 4",
        "w.ndim == 4",
        "b.dim() == 4",
    ],
)
def test_the_look_finds_what_is_planted(planted):
    tree = ast.parse(planted)
    assert {*branches(tree), *ranks(tree)}


CAPABILITIES = {
    field.name
    for view in vars(capabilities).values()
    if is_dataclass(view)
    for field in fields(view)
    if "kind" in field.metadata
}
# What has a method of such a name without being a part of a network: a model, a session.
NO_PART = {
    ("state.py", "getattr", "state"),
    ("experiments/running.py", "getattr", "check"),
}


def probes(tree):
    """Capabilities that are asked for by name: ``getattr(rule, "lateral", False)``, ``hasattr``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            asked = node.args[1]
            named = isinstance(asked, ast.Constant) and asked.value in CAPABILITIES
            if node.func.id in ("getattr", "hasattr") and named:
                yield node.func.id, asked.value


def test_capabilities_are_read_in_one_place():
    assert {"spontaneous", "tied", "lowest", "operator", "check"} <= CAPABILITIES
    found = {
        (path.relative_to(HOME).as_posix(), *probe)
        for path in HOME.rglob("*.py")
        for probe in probes(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == NO_PART


@pytest.mark.parametrize("planted", ['getattr(p.plasticity, "lateral", False)', 'hasattr(rule, "arrival")'])
def test_the_look_finds_a_probe_that_is_planted(planted):
    assert list(probes(ast.parse(planted)))


def imports(folder):
    """Which file imports which, in one folder and below, types and functions included."""
    graph = nx.DiGraph()
    root = f"cortex_sim.{folder.relative_to(HOME).as_posix().replace('/', '.')}"
    files = {f"{root}.{path.stem}": path for path in folder.glob("*.py") if path.stem != "__init__"}
    for module, path in files.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                whole = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                graph.add_edges_from((module, name) for name in whole if name in files)
    return graph


@pytest.mark.parametrize("folder", ["backends/torch", "backends/brian2", "operators", "tdca/inner"])
def test_no_files_of_a_room_import_each_other_in_a_circle(folder):
    assert list(nx.simple_cycles(imports(HOME / folder))) == []


def rooms_imported(room):
    """Rooms that the files of one import, anywhere in them."""
    found = set()
    for path in (HOME / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cortex_sim."):
                found.add(node.module.split(".")[1])
    return found


def test_protocols_and_backends_import_one_way():
    assert "backends" not in rooms_imported("protocol")
    assert "experiments" not in rooms_imported("backends")


def test_no_file_is_longer_than_400_lines():
    paths = {path.relative_to(HOME).as_posix(): path for path in HOME.rglob("*.py")}
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in paths.items()}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


# Checks of words that are taken in another spelling wherever they go.
LENIENT = {("default_settings.py", "rule"), ("trajectories/design.py", "rule")}


def test_what_is_only_checked_is_checked_letter_by_letter():
    """`look_up` takes other spellings too; where nothing is looked up, the name goes on as it was given."""
    found = {
        (name, node.value.args[0].value if isinstance(node.value.args[0], ast.Constant) else "")
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if "look_up" in ast.unparse(node.value.func)
    }
    assert found == LENIENT
