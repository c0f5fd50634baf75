"""Mistakes in the declaration of a network: its shapes, sizes, rules, connectors and constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mistaken_parameters import local, network
from mistakes import Mistake, near_misses, spoiled, wrong_shapes

import cortex_sim as cs

UP = "projection retina->V1"


def bare(**post: Any) -> cs.Network:
    """Two populations and no projection."""
    net = cs.Network("bare")
    net.population("retina", 7)
    net.population("V1", 5, **post)
    return net


def joined(connector: Any = "dense", **settings: Any) -> Any:
    return bare().bottom_up("retina", "V1", connector, **settings)


def sheets(connector: Any, pre: Any = (2, 6, 6), post: Any = (3, 4, 4)) -> Any:
    net = cs.Network("sheets")
    net.population("retina", shape=pre)
    net.population("V1", shape=post)
    return net.bottom_up("retina", "V1", connector)


def population(**settings: Any) -> Any:
    return cs.Network("n").population("V1", **settings)


# -- shapes -----------------------------------------------------------------------------------------------

ARRAYS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any], str]] = {
    "weights": ((5, 7), lambda x: joined(cs.Dense(init=x)), UP),
    "mask": ((5, 7), lambda x: joined(cs.Dense(mask=np.ones(np.shape(x)))), UP),
    "kernel": ((3, 2, 3, 3), lambda x: sheets(cs.Conv2d(3, init=x)), UP),
    "sparse weights": ((5, 7), lambda x: joined(cs.Sparse(0.9, init=x)), UP),
    "bounds": ((5, 7), lambda x: joined(constraint=cs.Bounds(high=x)), UP),
    "learning rates": ((5, 7), lambda x: joined(plasticity="oja", constraint=cs.LearningRates(x)), UP),
    "totals": ((5,), lambda x: joined(cs.Dense(init=np.ones((5, 7))), constraint=cs.RowNorm(x)), UP),
    "lateral weights": ((5, 5), lambda x: _lateral(x), "projection V1->V1"),
    "recurrent weights": ((5, 5), lambda x: _recurrent(cs.Dense(init=x)), "projection V1->V1"),
    "gain weights": (
        (5, 3),
        lambda x: _top_down(effect="gain", connector=cs.Dense(init=x)),
        "projection IT->V1",
    ),
    "feedback weights": ((5, 3), lambda x: _top_down(feedback=cs.Given(x)), "projection IT->V1"),
}


def _lateral(weights: Any) -> Any:
    net = local()
    return net.lateral("V1", weights=weights)


def _recurrent(connector: Any, **settings: Any) -> Any:
    return local().recurrent("V1", "V1", connector, **settings)


def _top_down(**settings: Any) -> Any:
    net = local()
    net.population("IT", 3)
    net.bottom_up("V1", "IT")
    net.top_down("IT", "V1", **settings)
    net.objective("IT", "cross_entropy")
    net.check()


def shapes() -> Iterator[Mistake]:
    for place, (right, make_of, about) in ARRAYS.items():
        for shape in [*wrong_shapes(right), right[::-1]]:
            if shape == right or (place == "mask" and len(shape) != 2):
                continue
            yield Mistake(
                "shapes", f"{place} {shape}", partial(make_of, np.full(shape, 0.1)), about, str(shape)
            )
        for value in (np.nan, np.inf):
            if place != "mask" and not (place == "bounds" and value == np.inf):
                x = spoiled(np.full(right, 0.1), value)
                said = "NaN" if np.isnan(value) else "infinity"
                yield Mistake("NaN", f"{place} {value}", partial(make_of, x), "", said)
    for shape in ((2,), (3, 4), (5, 5, 5, 5), ()):
        make = partial(population, shape=shape)
        if shape != (2,):
            yield Mistake("shapes", f"population {shape}", make, "population V1", str(shape))
    yield Mistake("shapes", "a convolution of rows", lambda: joined(cs.Conv2d(3)), UP, "(7,)")
    yield Mistake("shapes", "an arbor of rows", lambda: joined(cs.Arbor(2)), UP, "(7,)")
    yield Mistake("shapes", "identity", lambda: joined("identity"), UP, "(7,)")
    yield Mistake(
        "shapes", "a convolution to another side", lambda: sheets(cs.Conv2d(3, stride=2)), UP, "(3, 4, 4)"
    )
    yield Mistake(
        "shapes", "a mask of fractions", lambda: cs.Dense(mask=np.full((5, 7), 0.5)), "Dense", "0.5"
    )


# -- sizes ------------------------------------------------------------------------------------------------

SIZES: dict[str, tuple[Callable[[], Any], str, str]] = {
    **{
        f"size {size!r}": (lambda size=size: population(size=size), "population V1", repr(size))
        for size in (0, -3, 2.5, "10", True, (2, 3), float("nan"))
    },
    **{
        f"shape {shape!r}": (lambda shape=shape: population(shape=shape), "population V1", repr(shape[0]))
        for shape in ((0, 3, 3), (-1, 3, 3), (1.5, 3, 3), ("a", 3, 3))
    },
    "both": (lambda: population(size=3, shape=(3,)), "population V1", "3"),
    "neither": (lambda: population(), "population V1", "neither"),
    "a shape that is a number": (lambda: population(shape=9), "population V1", "9"),
    "more synapses than units": (lambda: joined(cs.Sparse(in_degree=8)), UP, "8"),
    "a kernel larger than the sheet": (lambda: sheets(cs.Conv2d(9)), UP, "9"),
    "an inhibitory unit too many": (lambda: joined(constraint=cs.Dale([7])), UP, "7"),
    "a share above 1": (lambda: cs.Dale(1.5), "Dale", "1.5"),
    "a probability above 1": (lambda: cs.Sparse(1.5), "Sparse", "1.5"),
    "a mask without synapses": (lambda: joined(cs.Dense(mask=np.zeros((5, 7)))), UP, "no synapse"),
    "an arbor without synapses": (lambda: sheets(cs.Arbor(0.01), post=(3, 5, 5)), UP, "Arbor"),
    "a network too large for memory": (lambda: _large(), "large", "2000000"),
}


def _large() -> Any:
    net = cs.Network("large")
    net.population("retina", 2_000_000)
    net.population("V1", 2_000_000)
    net.bottom_up("retina", "V1")
    return cs.brian2.build(net)


# -- rules ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Nothing:
    """A rule that cannot act."""

    rate: float = 1.0


@dataclass(frozen=True)
class Misspelt:
    """A rule whose capability is misspelt."""

    spontaneus = True
    growth = "r_post * r_pre"

    def change(self, w, r_pre, r_post):
        return 0 * w


class NoData:
    """A rule whose settings cannot be kept."""

    growth = "r_post * r_pre"

    def change(self, w, r_pre, r_post):
        return 0 * w


@dataclass(frozen=True)
class Disagrees:
    """A rule whose text and equation differ."""

    growth = "r_post * r_pre"

    def change(self, w, r_pre, r_post):
        return 2 * r_post.T @ r_pre / len(r_pre)


@dataclass(frozen=True)
class Unknown:
    """A rule that reads what a synapse does not have."""

    growth = "r_post * dopamine"

    def change(self, w, r_pre, r_post):
        return 0 * w


def _supervised(**top_down: Any) -> Any:
    net = bare(activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="gait_prop")
    net.bottom_up("V1", "IT", plasticity="gait_prop")
    if top_down:
        net.top_down("IT", "V1", **top_down)
        net.objective("IT", "cross_entropy")
    net.check()


RULES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "misspelt": (lambda: joined(plasticity="hebian"), UP, "hebian"),
    "misspelt with a setting": (lambda: joined(plasticity={"name": "bcn", "tau_ms": 20}), UP, "bcn"),
    "setting misspelt": (lambda: joined(plasticity={"name": "bcm", "tau": 20}), UP, "tau"),
    "the class": (lambda: joined(plasticity=cs.Oja), UP, "Oja"),
    "a number": (lambda: joined(plasticity=0.1), UP, "0.1"),
    "a list": (lambda: joined(plasticity=["oja", "hebbian"]), UP, "oja"),
    "a connector": (lambda: joined(plasticity=cs.Dense()), UP, "Dense"),
    "True": (lambda: joined(plasticity=True), UP, "True"),
    "a function": (lambda: joined(plasticity=np.outer), UP, "outer"),
    "an own one that does nothing": (lambda: joined(plasticity=Nothing()), UP, "Nothing"),
    "an own one, misspelt": (lambda: joined(plasticity=Misspelt()), "Misspelt", "spontaneus"),
    "an own one without settings": (lambda: joined(plasticity=NoData()), UP, "NoData"),
    "an own one that disagrees": (lambda: _built(Disagrees()), "rule Disagrees", "growth"),
    "an own one that reads dopamine": (lambda: _built(Unknown()), "rule Unknown", "dopamine"),
    "checked, disagreeing": (lambda: cs.check_rule(Disagrees()), "Disagrees", "growth"),
    "checked, no rule": (lambda: cs.check_rule("hebian"), "rule", "hebian"),
    "of lateral weights on bottom-up ones": (lambda: joined(plasticity="decorrelation"), UP, "Decorrelation"),
    "of top-down weights on bottom-up ones": (
        lambda: joined(plasticity=cs.WeightMirror("retina->V1")),
        UP,
        "WeightMirror",
    ),
    "of bottom-up weights on lateral ones": (
        lambda: local().lateral("V1", plasticity="oja"),
        "projection V1->V1",
        "Oja",
    ),
    "on a connector without weights": (
        lambda: _identity(plasticity="oja"),
        UP,
        "Identity",
    ),
    "without an objective": (lambda: _supervised(), "bare", "GaitProp"),
    "with other feedback": (lambda: _supervised(feedback=cs.Transpose("V1->IT")), "GaitProp", "Transpose"),
    "a word for a network, misspelt": (lambda: network().with_rule("gait_porp"), "rule", "gait_porp"),
    "feedback setting misspelt": (lambda: network().with_rule("gait_prop", dampng=0), "Inverse", "dampng"),
    "credit where none belongs": (lambda: network().with_rule("backprop", credit="x"), "Backprop", "credit"),
    "with_rule of a number": (lambda: network().with_rule(3), "rule", "3"),
    "two regularisers, one misspelt": (
        lambda: joined(regulariser=["decay", "orthogonalty"]),
        UP,
        "orthogonalty",
    ),
    "a rule as regulariser": (lambda: joined(regulariser=cs.Oja()), UP, "Oja"),
    "a constraint misspelt": (lambda: joined(constraint="dael"), UP, "dael"),
    "bounds twice": (lambda: joined(constraint=[cs.Bounds(0), cs.Bounds(high=1)]), UP, "Bounds"),
    "bounds that contradict": (lambda: joined(constraint=[cs.Bounds(1, 2), cs.Dale([0])]), UP, "Bounds"),
    "weights outside bounds": (
        lambda: joined(cs.Dense(init=np.full((5, 7), -1.0)), constraint=cs.Bounds(0)),
        UP,
        "-1",
    ),
    "weights of the wrong sign": (
        lambda: joined(cs.Dense(init=np.ones((5, 7))), constraint=cs.Dale([2])),
        UP,
        "input 2",
    ),
    "signs that differ between projections": (lambda: _two_signs(), "Dale", "(2,)"),
    "a sum by scaling signs": (lambda: joined(constraint=cs.RowNorm(1.0)), UP, "RowNorm"),
    "a length by subtraction": (lambda: cs.RowNorm(1.0, "subtractive", "length"), "RowNorm", "length"),
    "bounds reversed": (lambda: cs.Bounds(2, 1), "Bounds", "2"),
    "a negative learning rate": (lambda: cs.LearningRates([[-1.0]]), "LearningRates", "-1"),
    "orthogonality of a sparse projection": (
        lambda: joined(cs.Sparse(0.5), regulariser="orthogonality"),
        UP,
        "Orthogonality",
    ),
    "a constraint on identity": (lambda: _identity(constraint=cs.Bounds(0)), UP, "Bounds"),
}


def _built(rule: Any) -> Any:
    net = bare()
    net.bottom_up("retina", "V1", plasticity=rule)
    return cs.brian2.build(net)


def _identity(**settings: Any) -> Any:
    net = cs.Network("two")
    net.population("retina", 7)
    net.population("V1", 7)
    return net.bottom_up("retina", "V1", "identity", **settings)


def _two_signs() -> Any:
    net = bare()
    net.population("V2", 3)
    net.bottom_up("retina", "V1", constraint=cs.Dale([1]))
    return net.bottom_up("retina", "V2", constraint=cs.Dale([2]))


# -- names and kinds of object ----------------------------------------------------------------------------

PLACES: dict[str, Callable[[Any], Any]] = {
    "bottom_up, pre": lambda n: bare().bottom_up(n, "V1"),
    "bottom_up, post": lambda n: bare().bottom_up("retina", n),
    "recurrent": lambda n: local().recurrent(n, "V1"),
    "lateral": lambda n: local().lateral(n),
    "top_down": lambda n: network().top_down("IT", n),
    "objective": lambda n: local().objective(n, "cross_entropy"),
}


def places() -> Iterator[Mistake]:
    for place, make_of in PLACES.items():
        for wrong in near_misses("retina"):
            yield Mistake("names", f"{place} {wrong}", partial(make_of, wrong), "population", wrong)
        for wrong in (None, 3, ["V1"], cs.Dense()):
            said = repr(wrong)[:6]
            yield Mistake("kinds of object", f"{place} {said}", partial(make_of, wrong), "population", said)
    for name in ("", 3, None, "V1/3", "V1->IT", " V1", "1V", "retina"):
        make = partial(bare().population, name, 3)
        yield Mistake("names", f"a population called {name!r}", make, "population", str(name))
    for name in ("", 3, "a/b", " a"):
        yield Mistake("names", f"a network called {name!r}", partial(cs.Network, name), "network", repr(name))


OBJECTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "activation": (lambda x: population(size=3, activation=x), "V1"),
    "connector": (lambda x: joined(x), UP),
    "init": (lambda x: cs.Dense(init=x), "init"),
    "constraint": (lambda x: joined(constraint=x), UP),
    "regulariser": (lambda x: joined(regulariser=x), UP),
    "feedback": (lambda x: _top_down(feedback=x), "projection IT->V1"),
    "objective": (lambda x: local().objective("V1", x), "objective"),
    "effect": (lambda x: _top_down(effect=x), "effect"),
}
OF_ANOTHER_KIND = {"number": 3, "rule": cs.Oja(), "class": cs.Hebbian, "function": len, "word": "nothing"}


def objects() -> Iterator[Mistake]:
    for place, (make_of, about) in OBJECTS.items():
        for called, wrong in OF_ANOTHER_KIND.items():
            said = {"class": "Hebbian", "function": "len", "rule": "Oja"}.get(called, str(wrong))
            yield Mistake("kinds of object", f"{place}: {called}", partial(make_of, wrong), about, said)


def cases(folder: Path) -> Iterator[Mistake]:
    """All of them; ``folder`` is for files."""
    yield from shapes()
    yield from places()
    yield from objects()
    for kind, table in (("sizes", SIZES), ("rules", RULES)):
        for called, (make, about, wrong) in table.items():
            yield Mistake(kind, called, make, about, wrong)
