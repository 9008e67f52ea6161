"""The guide's commands are ones that there are: their options, their settings, the files they name."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise

import pytest

from finetune.engine.config import load_config
from finetune.learners import find_learner
from tests.commands import ROOT, defectkit

PAGE = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
COMMANDS = [line[2:] for line in PAGE.splitlines() if line.startswith("$ ")]


def test_the_guide_walks_the_whole_road() -> None:
    walked = {shlex.split(command)[1] for command in COMMANDS}
    assert walked >= {"synth", "describe", "convert", "verify", "split", "train", "attempts", "compare", "autolabel"}
    learners = {shlex.split(command)[2] for command in COMMANDS if " train " in command}
    assert learners == {"classifier", "longtail", "patchcore", "vae", "yolo-world", "sam"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_understood(command: str) -> None:
    words = shlex.split(command.partition(" | ")[0])
    assert words[0] == "defectkit"
    told = defectkit(words[1], "--help")
    assert told.status == 0
    for word in words[2:]:
        if word.startswith("--"):
            assert re.search(rf"(?m)(^|\s){re.escape(word)}\b", told.out), word
    if words[1] == "train":
        settings = [value for word, value in pairwise(words) if word == "--set"]
        load_config(find_learner(words[2]).config, None, settings)


def test_what_it_links_to_is_there() -> None:
    for name, _, place in (target.partition("#") for target in re.findall(r"\]\(([^)]+)\)", PAGE)):
        file = ROOT / "docs" / name
        assert file.is_file(), name
        headings = re.findall(r"(?m)^#+ (.+)$", file.read_text(encoding="utf-8"))
        assert not place or place in {heading.lower().replace(" ", "-") for heading in headings}, place
    for example in re.findall(r"examples/[\w./-]+\.yaml", PAGE):
        assert (ROOT / example).is_file(), example
