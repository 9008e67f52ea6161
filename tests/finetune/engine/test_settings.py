"""Settings that explain themselves: every key has a meaning, and the file is one that training takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from finetune.engine.config import load_config
from finetune.engine.settings import meanings, settings_yaml
from finetune.learners import LEARNERS, find_learner
from tests.commands import defectkit


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
