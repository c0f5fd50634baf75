"""What pages register does not outlive them."""

import pytest

import cortex_sim.tdca.functions.declared
import cortex_sim.tdca.functions.settings  # noqa: F401 - before a page, which would have its names forgotten
from cortex_sim import registry
from cortex_sim.rules import base


@pytest.fixture
def registries():
    """What a page registers (its own Oja, say) is forgotten after it."""
    tables = {kind: dict(table) for kind, table in registry._TABLES.items()}
    words = dict(base.WORDS)
    yield
    base.WORDS.clear()
    base.WORDS.update(words)
    for kind, table in registry._TABLES.items():  # what rooms that a page imports register stays
        own = {name for name, made in table.items() if not _is_ours(getattr(made, "__module__", ""))}
        for name in own:
            del table[name]
        table.update(tables.get(kind, {}))


def _is_ours(module):
    return module.split(".")[0] == "cortex_sim"
