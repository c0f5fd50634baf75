"""The package and its pages keep to standard terms: words of the glossary, not private ones."""

import io
import re
import tokenize
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Identifiers and modules, as whole names or parts of names between underscores.
NAMES = re.compile(
    r"(?:^|_)(?:told|tells|taught(?!_populations)|mate|beside|conductor|conducted|begun|lives|lived|births?|born|"
    r"newborn|hears?|lifetimes?)(?:_|$)|^(?:Conductor|Stage|Score|Piece|Page|Written|Told|Begun|Lives|Way)$"
)

#: Names that keep an old word: keys of files, and attributes named like them.
KEPT = {"lives"}
LIVES_MAY_STAND_IN = {
    "cortex_sim/tdca/evolving/settings.py",
    "cortex_sim/tdca/evolving/problem.py",
    "cortex_sim/tdca/evolving/outcome.py",
    "benchmarks/outer_loops.py",
    "benchmarks/workers.py",
    "protocols/tdca_learning_curves.py",
    "protocols/tdca_transfer.py",
}

#: Phrases of docstrings, comments, messages and pages.
PHRASES = re.compile(
    r"something stands there|another process is at it|(?:takes|skips) what (?:no other|another) is at|"
    r"c[oa]me apart|of one's own|\bas it stands\b|\bhears?\b|\bis told\b|\bare told\b|\btaught by it\b|"
    r"\bgone on with\b|\bgo(?:es)? on with\b|\bso called\b|\b(?:made|drawn|done|starts?|begins?) anew\b|"
    r"\b(?:a|one|each|every|whole|six|many|inner) li(?:fe|ves)\b|\bbirths\b|\bat birth\b|"
    r"\b[Ww]hoever\b|\bnobody else\b|\bthat anybody\b"
)

EXEMPT = {"docs/glossary.md"}


def sources():
    for folder in ("cortex_sim", "benchmarks", "models", "protocols"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def pages():
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if page.relative_to(ROOT).as_posix() not in EXEMPT]


@cache
def written(path):
    """Names, and texts of strings and comments, of a Python file."""
    names, texts = set(), []
    for t in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if t.type == tokenize.NAME:
            names.add(t.string)
        elif t.type in (tokenize.STRING, tokenize.COMMENT) and " " in t.string:
            texts.append(t.string)
    return names, texts


def private_names(path):
    name = path.relative_to(ROOT).as_posix()
    found = {part for part in path.with_suffix("").parts[-2:] if NAMES.search(part)}
    found |= set(filter(NAMES.search, written(path)[0]))
    return found - (KEPT if name in LIVES_MAY_STAND_IN else set())


def private_phrases(path):
    texts = path.read_text("utf-8").split("\n") if path.suffix == ".md" else written(path)[1]
    return [match.group() for text in texts for match in PHRASES.finditer(" ".join(text.split()))]


def found_in(paths, search):
    """What a search finds, by file; all in one test, since a test a file costs more than the search."""
    found = {path.relative_to(ROOT).as_posix(): search(path) for path in paths}
    assert len(found) > 100
    return {name: what for name, what in found.items() if what}


def test_names_are_standard_terms():
    assert not found_in(sources(), private_names)


def test_prose_is_in_standard_terms():
    assert not found_in([*sources(), *pages()], private_phrases)


def test_the_search_finds_what_is_planted(tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text('def told(mate):\n    """The top hears it."""\n', "utf-8")
    assert set(filter(NAMES.search, written(planted)[0])) == {"told", "mate"}
    assert private_phrases(planted) == ["hears"]


def test_plan_and_error_mean_one_thing_each():
    """A plan is a protocol's, resolved; an error is a signal, and an exception is called one."""
    caught, routes = [], []
    for path in sources():
        text = path.read_text("utf-8")
        caught += re.findall(r"except [^\n]* as error\b", text)
        if "cortex_sim/protocol/" not in path.as_posix():
            routes += re.findall(r"^class Plan\b|^def plan\(", text, flags=re.MULTILINE)
    assert not caught and not routes
