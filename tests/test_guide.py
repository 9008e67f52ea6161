"""The guide walks the whole road; that its commands and links are ones that there are, tests/test_pages.py holds."""

from __future__ import annotations

import shlex

from tests.commands import ROOT

PAGE = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
COMMANDS = [line[2:] for line in PAGE.splitlines() if line.startswith("$ ")]


def test_the_guide_walks_the_whole_road() -> None:
    walked = {shlex.split(command)[1] for command in COMMANDS}
    assert walked >= {"synth", "describe", "convert", "verify", "split", "train", "attempts", "compare", "autolabel"}
    learners = {shlex.split(command)[2] for command in COMMANDS if " train " in command}
    assert learners == {"classifier", "longtail", "patchcore", "vae", "yolo-world", "sam"}
