"""Settings that explain themselves: every key has a meaning, and the file is one that training takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from finetune.engine.config import load_config
from finetune.engine.settings import meanings, settings_yaml
from finetune.learners import LEARNERS, find_config, find_learner
from tests.commands import ROOT, defectkit


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_file_gives_the_defaults(learner: str, tmp_path: Path) -> None:
    kind = find_learner(learner).config
    file = tmp_path / "settings.yaml"
    file.write_text(settings_yaml(kind), encoding="utf-8")
    assert load_config(kind, file) == load_config(kind)
    assert list(yaml.safe_load(file.read_text(encoding="utf-8"))) == list(kind.model_fields)


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_setting_has_a_meaning_in_the_line_above_it(learner: str) -> None:
    kind = find_learner(learner).config
    assert set(kind.model_fields) <= set(meanings(kind))
    lines = settings_yaml(kind).splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        assert line.lstrip().startswith(("#", "-")) or before.lstrip().startswith("#"), line
    assert max(map(len, lines)) <= 110


def test_the_command_prints_what_training_takes(tmp_path: Path) -> None:
    outcome = defectkit("settings", "vae")
    assert outcome.status == 0
    assert "# passes over the training images, at most.\nepochs: 40\n" in outcome.out
    assert "split:\n" in outcome.out
    assert defectkit("settings", "vea").errors == ["error: vea: is no learner; did you mean vae?"]


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_settings_that_are_shown_are_those_that_it_trains_with(learner: str) -> None:
    assert find_config(learner) is find_learner(learner).config


WITHOUT_TORCH = """
import sys
from importlib.abc import MetaPathFinder

class Refusing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusing())
from toolkit.cli import main
for words in {calls}:
    sys.argv = ["defectkit", *words]
    try:
        main()
    except SystemExit as ended:
        print("status", ended.code)
"""
HEAVY = {
    "lightning",
    "scipy",
    "segment_anything",
    "sklearn",
    "timm",
    "torch",
    "torchmetrics",
    "torchvision",
    "ultralytics",
}
OLD = ROOT / "tests/old/0.1.0/runs"
RUNS = [str(OLD / name) for name in LEARNERS if (OLD / name).is_dir()]


def test_only_what_learns_needs_torch() -> None:
    settings = [["settings", name] for name in LEARNERS]
    calls = [*settings, ["compare", *RUNS], ["compare", *RUNS, "--json"], ["evaluate", RUNS[0]]]
    code = WITHOUT_TORCH.format(names=sorted(HEAVY), calls=calls)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    *told, end = re.split(r"^status (\d)\n", done.stdout, flags=re.MULTILINE)
    assert (told[1::2], end) == (["0"] * len(settings) + ["0", "0", "2"], ""), done.stderr
    assert all("\nseed: " in text for text in told[: 2 * len(settings) : 2])
    assert "accuracy" in told[-4]
    assert done.stderr.splitlines()[-1].startswith("error: classifier: needs the package ")
