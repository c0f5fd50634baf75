"""The gallery: every script of protocols/ as a page; fast ones are run, long ones show stored figures.

Scripts run as copies below ``docs/_build``, so that what they write stays there. Docstrings show stored
figures, as ``.. image:: /figures/NAME.png``, with the command that makes them; where a script is run, its
figure replaces the stored one.
"""

import math
import re
import shutil
from pathlib import Path
from typing import Any

from cortex_sim.runs import progress

DOCS = Path(__file__).resolve().parents[1]
PROTOCOLS = DOCS.parent / "protocols"
COPIES = DOCS / "_build" / "protocols"
HEADER = DOCS / "extensions" / "gallery_header.rst"

#: Run at every build: none takes more than about ten seconds of one core.
FAST = (
    "blocking",
    "credit_lesions",
    "decorrelation_orthogonality",
    "gait_relaxation",
    "learned_inverse",
    "oja_principal_component",
    "pairing_frequency",
    "ring_attractor",
)


def keep_figures(_block: Any, variables: dict[str, Any], _settings: dict[str, Any]) -> str:
    """Move figures that a script wrote below ``runs/`` to where its docstring shows them (a scraper)."""
    found = sorted((COPIES / "runs").rglob("*.png"))
    for figure, place in zip(found, variables["image_path_iterator"], strict=False):
        shutil.move(figure, place)
    return ""


def quiet(_settings: Any, _script: str) -> None:
    """Leave out lines of progress: they say how busy the machine is, not what the script found."""
    progress.LINE_S = math.inf


def copied(name: str, script: str, run: bool) -> str:
    """A script as the gallery reads it: with fresh figures, or the first stored one as its thumbnail."""
    if run and name in FAST:
        return script.replace(f"/figures/{name}.png", f"/gallery/images/sphx_glr_{name}_001.png")
    stored = re.search(r"^\.\. image:: /(figures/\S+)$", script, re.M)
    return f'{script}\n# sphinx_gallery_thumbnail_path = "{stored.group(1)}"\n' if stored else script


def copy(_app: Any, config: Any) -> None:
    """Copy all scripts, and remove what they wrote in earlier builds."""
    shutil.rmtree(COPIES, ignore_errors=True)
    COPIES.mkdir(parents=True)
    shutil.copy(HEADER, COPIES / "GALLERY_HEADER.rst")
    run = str(config.plot_gallery) not in ("0", "False")
    for script in sorted(PROTOCOLS.glob("*.py")):
        (COPIES / script.name).write_text(copied(script.stem, script.read_text("utf-8"), run), "utf-8")


CONFIGURATION = {
    "examples_dirs": str(COPIES),
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/({'|'.join(FAST)})\.py$",
    "run_stale_examples": True,  # the package may have changed where a script has not
    "abort_on_example_error": True,
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": (keep_figures,),
    "reset_modules": (quiet,),
    "backreferences_dir": None,
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
    "download_all_examples": False,
}


def setup(app: Any) -> dict[str, bool]:
    """Copy the scripts before the gallery looks for them."""
    app.connect("config-inited", copy, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
