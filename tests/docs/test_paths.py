"""The three paths lead to their figures: at small settings, and with -m slow exactly as printed."""

from __future__ import annotations

import re

import pytest
from path_pages import ROOT, blocks, follow, in_a_shell, in_this_process

import cortex_sim as cs

DOCS = ROOT / "docs"
SMALLER = {
    "path-protocol": {"repeat=15": "repeat=1"},
}
FIGURES = {
    "path-protocol": ["brian2.png", "torch.png", "weights.png"],
}
PAGES = sorted(SMALLER)


def figures_are_there(page, folder):
    for name in FIGURES[page]:
        assert (folder / name).read_bytes().startswith(b"\x89PNG"), name


@pytest.mark.parametrize("page", PAGES)
def test_a_path_leads_to_its_figures(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    follow(DOCS / f"{page}.md", in_this_process, tmp_path, SMALLER[page])
    figures_are_there(page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_path_leads_to_its_figures_exactly_as_printed(page, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    follow(DOCS / f"{page}.md", in_a_shell(tmp_path / "bin"), here)
    figures_are_there(page, here)


def test_output_that_differs_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("## Set up\n\n```sh\nmake setup\n```\n\n```sh\necho 1\n```\n\n```text\n2\n```\n")
    with pytest.raises(AssertionError, match="says it prints\n2\n\nbut it prints\n1"):
        follow(page, in_a_shell(tmp_path / "bin"), tmp_path)
    with pytest.raises(AssertionError, match="no longer says"):
        follow(page, lambda text, here: "", tmp_path, {"epochs=3": "epochs=1"})


PROTOCOL = DOCS / "path-protocol.md"
MISTAKES = re.findall(
    r"^\| `(.*?)` \| (.*) \|$",
    PROTOCOL.read_text("utf-8").split("| written | said |")[1].split("\n\n")[0],
    re.M,
)


@pytest.mark.parametrize(("written", "said"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_reported_as_the_path_says(written, said):
    (script,) = (block.text for block in blocks(PROTOCOL) if block.file == "conditioning.py")
    line = re.compile(rf"^(\s*){written.split(' = ')[0]} = .*?(  #.*)?$", re.M)
    wrong, count = line.subn(lambda found: found[1] + written, script, count=1)
    assert count == 1
    made: dict = {"__name__": "conditioning"}
    exec(compile(wrong, "conditioning.py", "exec", dont_inherit=True), made)
    with pytest.raises(cs.DeclarationError) as found:
        cs.brian2.run(made["experiment"](), progress=False)
    assert str(found.value) == said


def test_three_mistakes_are_shown():
    assert len(MISTAKES) == 3
