"""One reader and one writer of YAML: scalars of YAML 1.2, nothing twice, nothing but plain data."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim import yaml_text
from cortex_sim.errors import RunError


@pytest.mark.parametrize(
    "text, value",
    [
        *[
            (word, word)
            for word in ("on", "off", "yes", "No", "y", "5:00", "1_000", "0b1", "2026-01-01", "=")
        ],
        *[("010", 10), ("0o10", 8), ("0x1F", 31), ("+12", 12), ("-3", -3)],
        *[("1e-3", 1e-3), ("1e3", 1e3), ("1.", 1.0), (".5", 0.5), ("12e03", 12e3), ("-.inf", -math.inf)],
        *[("null", None), ("~", None), ("", None), ("true", True), ("FALSE", False), ("!!str 010", "010")],
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = yaml_text.parse("value", text)
    assert read == value and type(read) is type(value)


_NAMES = [
    "1e-3",
    "1e3",
    "on",
    "010",
    "5:00",
    "null",
    "~",
    "0x10",
    "0o10",
    "2026-01-01",
    ".nan",
    ".inf",
    "1_000",
]
_NAMES += [
    "<<",
    "=",
    "yes",
    "true",
    "0b1",
    "1.5",
    "-",
    "?",
    "''",
    "",
    " a",
    "a ",
    "a\n",
    "a\x85b",
    "\u2028",
    "\x00",
]


@pytest.mark.parametrize("name", [*_NAMES, "a: b", "#"])
def test_text_that_looks_like_something_else_stays_text(name):
    data = {name: [name, {name: name}]}
    assert yaml_text.parse("names", yaml_text.write(data)) == data


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.recursive(_SCALARS, lambda c: st.lists(c) | st.dictionaries(st.text(), c), max_leaves=6))
def test_what_is_written_is_read_back(data):
    assert yaml_text.parse("data", yaml_text.write(data)) == data


@given(st.from_regex(r"[-+]?[0-9._:eExo~a-f]{1,8}", fullmatch=True))
def test_no_text_of_digits_is_read_as_a_number(text):
    assert yaml_text.parse("data", yaml_text.write({text: text})) == {text: text}


@pytest.mark.parametrize(
    "text, message",
    [
        ("lr: 1\nb: 2\nlr: 3\n", r"lr is given twice below line 1; keep one \(the second is in line 3\)"),
        ("{1: a, 1.0: b}", r"1.0 is given twice"),
        ("a: 1\n<<: 2\n", r"line 2: << takes settings"),
        ("<<: {a: 1}\n<<: {b: 2}\n", r"<< is given twice \(again in line 2\)"),
        ("? [1]\n: 2\n", "line 1: a key must be text or a number"),
        ("!!binary aGk=", "tag tag:yaml.org,2002:binary is not YAML that is accepted here"),
        ("!!int x", "line 1: 'x' is not of type int"),
        ("1e400", "line 1: 1e400 is too large for a number"),
        ("9" * 5000, "line 1: a number of 5000 digits is too long"),
        ("&a [*a]", "line 1 contains itself"),
        ("[" * 3000, "nested too deeply"),
        ("a: 1\n--- \nb: 2\n", "but found another document"),
        ("a: [1\n", "not YAML"),
    ],
)
def test_refused_with_its_line(text, message):
    with pytest.raises(RunError, match=message) as refusal:
        yaml_text.parse("settings", text, RunError)
    assert "\n" not in str(refusal.value)


def test_aliases_are_read_until_they_stand_for_too_much(monkeypatch):
    assert yaml_text.parse("x", "a: &a [1]\nb: *a\n") == {"a": [1], "b": [1]}
    monkeypatch.setattr(yaml_text, "_LARGEST", 1000)
    lines = [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcd", "bcde", strict=True)]
    with pytest.raises(cs.DeclarationError, match="aliases expand to more than 1000 values"):
        yaml_text.parse("x", "\n".join(["a: &a 1", *lines]))


def test_merged_settings_give_way_to_those_beside_them():
    text = "base: &b {lr: 1, steps: 2}\nother: &o {lr: 3, name: Adam}\nnow: {<<: [*b, *o], steps: 4}\n"
    assert yaml_text.parse("x", text)["now"] == {"lr": 1, "name": "Adam", "steps": 4}


def test_what_is_aliased_is_not_shared():
    read = yaml_text.parse("x", "a: &a [1]\nb: *a\n")
    read["a"].append(2)
    assert read["b"] == [1]


@pytest.mark.parametrize("value", [object(), {1, 2}, b"a"])
def test_only_plain_data_is_written(value):
    with pytest.raises(cs.DeclarationError, match="is not plain data, so it cannot be written"):
        yaml_text.write({"a": [value]})


def test_numbers_of_numpy_are_numbers():
    assert yaml_text.parse("x", yaml_text.write({"a": np.float64(0.5), "b": np.int64(3)})) == {
        "a": 0.5,
        "b": 3,
    }


def test_a_network_may_be_named_after_a_number():
    net = cs.Network("1e3")
    net.population("null", 3)
    net.population("on", 2)
    net.bottom_up("null", "on")
    assert cs.Network.from_yaml(net.to_yaml()) == net
