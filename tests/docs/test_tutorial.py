"""The tutorial's protocol is a file that ``cortex-sim simulate`` runs, as its last section says."""

import json
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial-protocol.md"


def test_the_first_three_blocks_are_a_protocol_file(tmp_path):
    text = PAGE.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (tmp_path / "my_protocol.py").write_text("\n\n".join(blocks[:3]), "utf-8")
    commands = re.findall(r"^cortex-sim (simulate .*)$", text, re.M)
    assert [command.split()[1] for command in commands] == ["my_protocol.py"] * 3
    (settled,) = (command for command in commands if "torch" in command)  # the others take seconds more
    done = subprocess.run(
        [sys.executable, "-m", "cortex_sim", *settled.split(), "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["arms"] == ["intact", "cut"]
    assert told["dims"]["presentation"] == 1000
    assert (tmp_path / told["out"]).is_file()
