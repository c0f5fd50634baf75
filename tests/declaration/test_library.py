import os
import subprocess
import sys
from pathlib import Path

import pytest

import cortex_sim as cs
from cortex_sim import library

OURS = [
    "conv4", "digits_mlp", "gait_cifar_deep", "gait_cifar_shallow", "gait_imagenet", "gait_square",
    "gait_tower",
]  # fmt: skip


@pytest.fixture
def own(tmp_path):
    """A model file of the user's."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import cortex_sim as cs\n\n\n"
        "def tiny(size=3):\n"
        "    net = cs.Network('tiny')\n"
        "    net.bottom_up(net.population('retina', size), net.population('IT', 2))\n"
        "    return net\n"
    )
    return path


def test_the_shipped_models_are_listed():
    listed = library.names("models")
    assert set(OURS) <= set(listed) and listed == sorted(listed)


def test_a_model_is_found_by_name_and_takes_settings():
    assert cs.model("gait_tower").name == "gait_tower"
    assert cs.model("gait_tower", classes=7).populations["IT"].size == 7


def test_a_model_s_module_can_be_imported_by_name():
    cs.model("conv4")
    assert sys.modules["cortex_sim.models.conv4"].conv4().name == "conv4"


def test_a_file_of_ones_own(own):
    assert cs.model(f"{own}:tiny").populations["retina"].size == 3
    assert cs.model(f"{own}:tiny", size=5).populations["retina"].size == 5


def test_two_files_of_one_name_are_two(own, tmp_path):
    other = tmp_path / "elsewhere" / "mine.py"
    other.parent.mkdir()
    other.write_text(own.read_text().replace("size=3", "size=7"))
    assert cs.model(f"{own}:tiny").populations["retina"].size == 3
    assert cs.model(f"{other}:tiny").populations["retina"].size == 7


def test_the_working_directory_is_not_searched(tmp_path):
    """A models/ folder lying about must never run, whatever its files are called."""
    (tmp_path / "models").mkdir()
    for name in ("trap", "conv4"):
        (tmp_path / "models" / f"{name}.py").write_text("raise SystemExit('ran')\n")
    code = (
        "import cortex_sim as cs\n"
        "print(cs.model('conv4').name)\n"
        "try: cs.model('trap')\n"
        "except cs.DeclarationError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cs.__file__).parent.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("conv4\nunknown model 'trap'; known: conv4"), done.stderr


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("gait_towr", {}, "unknown model 'gait_towr' (did you mean 'gait_tower'?); known: conv4"),
        ("../models/conv4", {}, "unknown model '../models/conv4'"),
        (3, {}, "model: give a name, or path/to/file.py:function. Got 3"),
        ("gait_tower", {"clases": 3}, "setting of model gait_tower 'clases' (did you mean 'classes'?)"),
        ("gait_tower", {"classes": 0}, "population IT: shape must be a whole number of at least 1"),
        ("gait_square", {"hidden": 0}, "hidden areas: count must be a whole number of at least 1"),
        ("gait_square", {"hidden": "4"}, "hidden areas: count must be a whole number"),
        ("/none/such.py:tiny", {}, "no file /none/such.py; give path/to/file.py:function"),
    ],
)
def test_what_is_no_model_is_refused(name, settings, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        cs.model(name, **settings)
    assert message in str(refusal.value)


def test_a_function_that_is_not_there(own):
    with pytest.raises(cs.DeclarationError, match="mine.py has no function 'large'"):
        cs.model(f"{own}:large")


def test_an_error_inside_a_model_is_told_with_its_line_and_kept_as_the_cause(own):
    own.write_text("def tiny():\n    raise TypeError('mine')\n")
    with pytest.raises(cs.DeclarationError, match=r"tiny: TypeError: mine \(mine.py, line 2\)") as told:
        cs.model(f"{own}:tiny")
    assert isinstance(told.value.__cause__, TypeError)


def test_a_function_that_makes_no_network(own):
    own.write_text("def tiny():\n    return 3\n")
    with pytest.raises(cs.DeclarationError, match=r"tiny: its function must return a Network. Got 3"):
        cs.model(f"{own}:tiny")


def test_a_file_that_breaks_is_not_half_loaded(own):
    own.write_text("raise RuntimeError('first line')\n")
    with pytest.raises(cs.DeclarationError, match="RuntimeError: first line"):
        cs.model(f"{own}:tiny")
    own.write_text("import cortex_sim as cs\n\n\ndef tiny():\n    return cs.Network('mended')\n")
    assert cs.model(f"{own}:tiny").name == "mended"
