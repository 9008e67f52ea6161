"""The page on pretrained networks: its code runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.commands import ROOT

PAGE = ROOT / "docs/pretrained.md"


def test_the_code_of_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {"__name__": "page"})
    promised = [
        line.partition(")  # ")[2] for block in blocks for line in block.splitlines() if line.startswith("print(")
    ]
    printed = capsys.readouterr().out.splitlines()
    assert [one for one, told in zip(printed, promised, strict=True) if told] == [told for told in promised if told]
    assert (tmp_path / "mine.safetensors").is_file()


def test_settings_that_the_page_names_exist() -> None:
    from finetune.classifier.config import ClassifierConfig

    named = set(re.findall(r"`(backbone|weights|mode|freeze|backbone_lr_scale|image_size)\b", PAGE.read_text()))
    assert named <= set(ClassifierConfig.model_fields)
    assert len(named) == 6
