"""What a command loads: prediction costs none of what only training needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.commands import PATIENCE, ROOT

_WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {taken!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from toolkit.cli.front import run
for words in {commands!r}:
    assert run(words) == 0, words
"""


def runs_without(taken: tuple[str, ...], *commands: list[str]) -> None:
    """Run commands in a process in which some packages are not there."""
    program = _WITHOUT.format(taken=taken, commands=commands)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_anomaly_detector_is_predicted_with_without_what_trains_it(tmp_path: Path) -> None:
    words = ["predict", "tests/old/0.1.0/runs/vae", "tests/old/0.1.0/source", "--out", str(tmp_path / "out")]
    others = ("lightning", "torchmetrics", "torchvision", "timm", "scipy", "sklearn", "ultralytics", "matplotlib")
    runs_without(others, words)
