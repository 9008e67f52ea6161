"""README and docs say what is so: links lead somewhere, commands are understood, modules and make targets are there."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
import yaml
from PIL import Image

import converters
import finetune
import toolkit
from finetune.engine.config import load_config
from finetune.learners import find_config
from tests.commands import ROOT
from toolkit import __version__
from toolkit.cli import app
from toolkit.cli.front import _COMMANDS as EXAMPLES
from toolkit.errors import ToolkitError

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
GROUP: Any = typer.main.get_command(app)
USAGE_ERROR = typer.BadParameter.__mro__[1]
LINK = re.compile(r"\]\(<?([^)>\s]+)>?\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PLACEHOLDER = re.compile(
    r"[\[\]…]|\.\.\.|\b(?:ROOT|OUT|DIR|RUN|DATA|LEARNER|COMMAND|ARCHIVE|IMAGES|PATH|FROM|TO|CSV|A B)\b"
)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> tuple[str, list[str]]:
    """The prose of a page, and the lines of its code with continued lines joined."""
    prose, code, fenced, before = [], [], False, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or (line.startswith("    ") and (before == "" or before.startswith("    "))):
            code.append(line.strip())
        else:
            prose.append(line)
        before = line
    return "\n".join(prose), re.sub(r"\\\n\s*", "", "\n".join(code)).splitlines()


def commands(text: str) -> list[tuple[str, bool]]:
    """All that a page says to type after `defectkit`, and whether it is to be typed as it stands."""
    prose, lines = blocks(text)
    said = [(line.removeprefix("$ "), True) for line in lines]
    said += [(" ".join(one.split()), False) for one in CODE.findall(prose)]
    return [(one, whole) for one, whole in said if re.match(r"defectkit [a-z-]", one)]


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    prose, _ = blocks(page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", prose)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def check_command(text: str, *, whole: bool = True) -> None:
    """Raises where a command, a flag, a value or a setting is none that there is."""
    words = shlex.split(re.split(r" [|>] ?| {3,}", text)[0], comments=True)[1:]
    command = GROUP.commands.get(words[0]) if not words[0].startswith("-") else GROUP
    assert command is not None, text
    known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    known |= {"--help", "-h", "--install-completion", "--debug"}
    for word in words:
        assert not word.startswith("-") or word.partition("=")[0] in known, (text, word)
    if command is GROUP or PLACEHOLDER.search(" ".join(words)) or "--help" in words:
        return
    if whole:
        command.make_context(words[0], words[1:]).close()
    if words[0] == "train" and len(words) > 1:
        settings = [value for word, value in pairwise(words) if word == "--set"]
        load_config(find_config(words[1]), None, settings)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in LINK.findall(blocks(text)[0]):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, place = unquote(target).partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not place or place in anchors(file), target
    for example in re.findall(r"\bexamples/[\w./-]+\.(?:yaml|ipynb)", text):
        assert (ROOT / example).is_file(), example


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(page: Path) -> None:
    for command, whole in commands(page.read_text(encoding="utf-8")):
        check_command(command, whole=whole)


def test_examples_of_the_help_are_understood() -> None:
    for command, example in EXAMPLES:
        assert shlex.split(example)[1] == command.__name__
        check_command(example)


@pytest.mark.parametrize(
    "wrong",
    ["defectkit conver a b --to coco", "defectkit view labels --too 5", "defectkit split a b --strategy chance",
     "defectkit train vae a --set epoch=3", "defectkit verify", "defectkit view labels --limit many"],
)  # fmt: skip
def test_what_there_is_not_is_found(wrong: str) -> None:
    with pytest.raises((AssertionError, KeyError, ToolkitError, USAGE_ERROR)):
        check_command(wrong)


def test_modules_and_targets_are_there() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for module in set(re.findall(r"python -m ((?:benchmarks|tests)\.[\w.]*\w)", text)):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or place.is_dir(), module
    prose, lines = zip(*(blocks(page.read_text(encoding="utf-8")) for page in PAGES), strict=True)
    said = [line for page in lines for line in page] + CODE.findall("\n".join(prose))
    targets = {found[1] for line in said if (found := re.match(r"(?:[A-Z_]+=\S+ )*make ([a-z]+)", line))}
    made = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert targets
    assert targets <= made


def test_pictures_are_in_true_colours() -> None:
    for file in sorted((ROOT / "docs").glob("**/*.png")):
        with Image.open(file) as picture:
            assert picture.mode in ("RGB", "RGBA"), file.name


def test_every_method_is_cited() -> None:
    page = (ROOT / "docs/citing.md").read_text(encoding="utf-8")
    files = [file for package in ("toolkit", "converters", "finetune") for file in (ROOT / package).rglob("*.py")]
    cited = {one for file in files for one in re.findall(r"arXiv:? ?(\d{4}\.\d{5})", file.read_text(encoding="utf-8"))}
    assert len(cited) > 10
    assert {one for one in cited if one not in page} == set()
    keys = re.findall(r"(?m)^@\w+\{(\w+),$", page)
    assert len(keys) == len(set(keys)) == page.count("```bibtex")


def test_the_citation_names_this_version() -> None:
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (told["version"], told["license"]) == (__version__, "Apache-2.0")
    assert {"cff-version", "message", "title", "authors"} <= set(told)


def test_the_reference_has_every_name_that_is_offered() -> None:
    page = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    offered = [f"{module.__name__}.{name}" for module in (toolkit, converters, finetune) for name in module.__all__]
    assert re.findall(r"(?m)^::: ([\w.]+)$", page) == offered


def test_the_site_has_every_page() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = re.findall(r"[\w./-]+\.md", str(site["nav"]))
    assert len(listed) == len(set(listed))
    assert {*listed} == {"index.md", "CONTRIBUTING.md", *(page.name for page in (ROOT / "docs").glob("*.md"))}
