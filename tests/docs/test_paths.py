"""The three paths lead to their figures: at small settings, and with -m slow exactly as printed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from path_pages import ROOT, blocks, follow, in_a_shell, in_this_process, is_printed

import cortex_sim as cs

DOCS = ROOT / "docs"
SMALLER = {
    "path-deep": {
        "digits.x_train, rng": "digits.x_train[:30], rng",
        "y_train=digits.y_train": "y_train=digits.y_train[:30]",
        "digits.x_test, rng": "digits.x_test[:20], rng",
        "y_test=digits.y_test": "y_test=digits.y_test[:20]",
        "--epochs 2": "--epochs 1 --set model_settings.channels=[3,4]",
        "train digits_mlp": "train digits_mlp --epochs 1",
        "--out report.html": "--out report.html --present 0",
        "--out runs/trial": "--out runs/one",  # made by the batch file, which -m slow alone runs
    },
    "path-protocol": {"repeat=15": "repeat=1"},
    "path-recording": {
        "= 100, 8, 40, 0.2": "= 40, 4, 6, 0.2",  # pictures, repeats, neurons
        "epochs=20": "epochs=1",
        "--rule backprop": "--rule backprop --epochs 1",
        "--rule gait_prop": "--rule gait_prop --epochs 1",
        "--rule feedback_alignment": "--rule feedback_alignment --epochs 1",
        "--simulations 10": "--simulations 2 --resamples 100",
    },
}
FIGURES = {
    "path-deep": ["deep.png", "runs/digits/learning_curves.png"],
    "path-protocol": ["brian2.png", "torch.png", "weights.png"],
    "path-recording": ["scores/scores.png", "scores/recovery-my_recording-rsa.png"],
}
PAGES = sorted(SMALLER)


def figures_are_there(page, folder):
    for name in FIGURES[page]:
        assert (folder / name).read_bytes().startswith(b"\x89PNG"), name


@pytest.mark.usefixtures("registries")
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


def test_words_are_compared_exactly_and_numbers_nearly():
    assert is_printed("reliability 0.87,\nleast 0.83", "of 1.0; reliability 0.86, least 0.83")
    assert not is_printed("reliability 0.95, least 0.83", "reliability 0.87, least 0.83")
    assert not is_printed("reliable 0.87", "reliability 0.87, least 0.83")


def shown_mistakes(page, head):
    """What the table of a page says of mistakes: (mistake, message)."""
    table = page.read_text("utf-8").split(head)[1].split("\n\n")[0]
    found = re.findall(r"^\| `(.*?)` \| (.*) \|$", table, re.M)
    assert len(found) == 3
    return found


PROTOCOL = DOCS / "path-protocol.md"
MISTAKES = shown_mistakes(PROTOCOL, "| written | said |")


@pytest.mark.parametrize(("written", "said"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_reported_as_the_protocols_path_says(written, said):
    (script,) = (block.text for block in blocks(PROTOCOL) if block.file == "conditioning.py")
    line = re.compile(rf"^(\s*){written.split(' = ')[0]} = .*?(  #.*)?$", re.M)
    wrong, count = line.subn(lambda found: found[1] + written, script, count=1)
    assert count == 1
    made: dict = {"__name__": "conditioning"}
    exec(compile(wrong, "conditioning.py", "exec", dont_inherit=True), made)
    with pytest.raises(cs.DeclarationError) as found:
        cs.brian2.run(made["experiment"](), progress=False)
    assert str(found.value) == said


RECORDING = DOCS / "path-recording.md"
WRONG_FILES = shown_mistakes(RECORDING, "| given | said |")


@pytest.mark.parametrize(("given", "said"), WRONG_FILES, ids=range(len(WRONG_FILES)))
def test_a_file_that_does_not_fit_is_refused_as_the_recordings_path_says(given, said, tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (100, 8, 8), dtype=np.uint8)
    counts = rng.poisson(3.0, (100, 8, 40))
    wrong = eval(f"dict({given})", {"pictures": pictures, "counts": counts})
    path = tmp_path / "my_recording.npz"
    np.savez(path, **{"images": pictures, "response_repeats": counts, "units": "spikes/s"} | wrong)
    with pytest.raises(cs.DataError) as found:
        cs.neural.load(path, stimuli=path)
    assert str(found.value) == f"neural data {path}: {said}"
