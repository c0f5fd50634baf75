"""A notebook shows networks, protocols, experiments, simulations and recordings, figures and progress."""

import os
import re
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
from notebook_pages import executed, page  # noqa: E402

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]

CELLS = {
    "network": 'import cortex_sim as cs\n\nnet = cs.model("digits_mlp", hidden=16)\nnet',
    "protocol": """
images = {"retina": cs.Stimuli("digits", count=20, standardise=True)}
labels = {"IT": cs.Stimuli("digits", count=20)}
test = {"retina": cs.Stimuli("digits", split="test", count=10, standardise=True)}
intact = cs.Protocol(
    cs.Phase("settle", 400, drive=images),
    cs.Phase("learn", 400, drive=images, nudge=labels, plasticity=True),
    order="shuffled",
    probe=cs.Protocol(cs.Phase("settle", 400, drive=test)),
    record=cs.Record(phase="settle", weights=True, weights_every=10),
)
intact""",
    "experiment": """
arms = {"intact": intact, "cut": intact.replace(lesion=["IT->V1"])}
experiment = cs.Experiment(net, arms)
experiment""",
    "run": "recording = cs.brian2.run(experiment, seed=0)\ncs.viz.overview(recording)",
    "figure": 'cs.viz.compare_arms(recording, "rate")',
    "drawing": "intact.draw()",
    "simulation": "cs.brian2.build(net)",
    "model": "cs.torch.build(net)",
    "fit": 'model = cs.torch.build(net)\nmodel.fit(cs.data.load("digits"), 60)[-1]["epoch"]',
}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        made = executed(*CELLS.values(), folder=folder)
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    where = os.environ.get("CORTEX_SIM_NOTEBOOK_PAGE")  # to look at it in a browser
    if where:
        Path(where).write_text(page(made), encoding="utf-8")
    return dict(zip(CELLS, made.cells, strict=True))


def rich(cell, kind="text/html"):
    return [output.data[kind] for output in cell.outputs if kind in getattr(output, "data", {})]


def cells_of(html):
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


def test_no_cell_warns_or_prints_to_standard_error(notebook):
    streams = {
        name: [o.text for o in cell.outputs if o.output_type == "stream"] for name, cell in notebook.items()
    }
    assert streams == {name: [] for name in notebook}


def test_network_is_a_table_and_a_drawing(notebook):
    (shown,) = rich(notebook["network"])
    assert {"retina", "V1", "IT", "retina-&gt;V1", "64"} <= set(cells_of(shown))
    assert "data:image/png;base64," in shown


@pytest.mark.parametrize("name", ["protocol", "experiment"])
def test_protocols_show_their_time_lines(notebook, name):
    (shown,) = rich(notebook[name])
    assert shown.count('alt="time line of the protocol"') == (1 if name == "protocol" else 2)
    assert "records rate of all populations; weights of all plastic projections" in shown


def test_a_run_shows_progress_and_leaves_it_there(notebook):
    progress, overview = rich(notebook["run"])
    total = 2 * (20 + 2 * 10)
    assert re.search(
        rf'<progress value="{total}" max="{total}".*arm cut: {total} of {total} presentations, \d', progress
    )
    assert "20 trials, 20 presentations of probes" in overview
    assert "xarray.Dataset" in overview


def test_training_shows_progress(notebook):
    progress = rich(notebook["fit"])[0]
    assert re.search(r"<progress value=\"(\d+)\" max=\"\1\".*epoch 60: \1 of \1 steps", progress)


@pytest.mark.parametrize("name", ["figure", "drawing"])
def test_figures_are_shown_once_without_magic(notebook, name):
    assert len(rich(notebook[name], "image/png")) == 1
    assert rich(notebook[name]) == []


def test_simulation_and_model_show_what_they_are(notebook):
    (simulation,) = rich(notebook["simulation"])
    assert {"batched", "euler, 1 ms"} <= set(cells_of(simulation))
    assert "da/dt" in simulation
    (model,) = rich(notebook["model"])
    assert "1,210" in cells_of(model)  # 64 * 16 + 16 + 16 * 10 + 10
