"""A card in words: the summary, Markdown as a reader of Markdown shows it, HTML for notebooks."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.commands import make_dataset, picture, save, stain
from toolkit import load_dataset, split_dataset, write_product
from toolkit.card import DatasetCard, describe_dataset
from toolkit.card.model import card_html, listed
from toolkit.card.text import card_markdown
from toolkit.cli.card import print_card

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "a|b",
    "*bold*",
    "_under_",
    "`code`",
    "[link](x)",
    "$x^2$",
    "&amp;",
    "~~gone~~",
    "back\\slash",
    "größer als 5 µm",
    "scratch_head_1",
    "# 1",
]


def card_of(root: Path, *names: str) -> DatasetCard:
    """A card of a dataset with these kinds of defect, an image each."""
    save(root / "part/train/good/0.png", picture(99))
    for number, name in enumerate(names):
        save(root / "part/test" / name / "0.png", picture(number))
        save(root / "part/ground_truth" / name / "0.png", stain(number % 4))
    return describe_dataset(load_dataset(root / "part"))


class Cells(HTMLParser):
    """Collects the text of table cells, and every tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in_cell = tag in ("td", "th")
        if self._in_cell:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.cells[-1] += data


def test_the_coursework_is_answered_in_one_sentence(tmp_path: Path) -> None:
    dataset = load_dataset(write_product(tmp_path))
    card = describe_dataset(dataset, split=split_dataset(dataset, "uniform"))
    assert card.summary.startswith(
        "8 classes (7 kinds of defect and good), 80 images, train 64, test 16, uniform (10 of each class), "
        "256 x 256 pixels, 1 channel. 70 images show "
    )


def test_several_sizes_are_told(tmp_path: Path) -> None:
    save(tmp_path / "part/train/good/1.png", picture(7)[:8])
    card = card_of(tmp_path, "dent")
    assert "2 sizes, most of them (2) 24 x 16 pixels, 1 channel" in card.summary


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_names_as_they_are(tmp_path: Path, name: str) -> None:
    text = card_markdown(card_of(tmp_path, name), [("classes.png", "Images of each class")])
    shown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    page = Cells(shown)
    assert name in page.cells
    assert page.tags <= {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "img", "ul", "li"}
    assert re.findall("<img[^>]*>", shown) == ['<img src="classes.png" alt="Images of each class" />']
    assert not re.search(r"(?<!\\)\$", text)  # nothing is taken for a formula


def test_plain_names_are_not_cluttered(tmp_path: Path) -> None:
    assert "| scratch_head_1 |" in card_markdown(card_of(tmp_path, "scratch_head_1"), [])


def test_markdown_has_tables_notes_and_their_explanation(tmp_path: Path) -> None:
    text = card_markdown(card_of(tmp_path, "dent", "rust"), [])
    headings = re.findall("^#+ (.*)$", text, re.MULTILINE)
    assert headings == [
        "part",
        "Images and what is marked in them",
        "How even the classes are",
        "Distributions",
        "Notes",
    ]
    assert "Cui et al., CVPR 2019" in text
    assert "| all images | 1 | 2 | 3 | 4 |" in text
    assert "- train has no image of 2 of 3 classes: dent, rust" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_html_shows_names_as_they_are(tmp_path: Path, name: str) -> None:
    card = card_of(tmp_path, name)
    page = Cells(card_html(card))
    assert name in page.cells
    assert page.tags == {"div", "p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert card._repr_html_() == card_html(card)
    assert html.unescape(card_html(card)).count(card.summary) == 1


def test_the_terminal_shows_everything_at_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_dataset(tmp_path / "data")
    save(root / "part/test/good/000.png", picture(0))
    (root / "part/test/dent/000.png").write_bytes(b"")
    print_card(describe_dataset(load_dataset(root)))
    shown = capsys.readouterr().out
    assert "part/test/good/000, part/train/good/000" in shown
    assert "the file is empty (0 bytes)" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith(" scratch ")] == [
        ["scratch", "0", "3", "3", "6", "1", "1", "to", "40", "0.26"]
    ]


def test_many_problems_are_cut_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        save(tmp_path / f"part/train/good/{number:02}.png", picture(number)).write_bytes(b"")
    print_card(describe_dataset(load_dataset(tmp_path / "part")))
    shown = capsys.readouterr().out
    assert shown.count("the file is empty") == 20
    assert "5 more, which --json lists" in shown


@pytest.mark.parametrize(("count", "text"), [(1, "0"), (6, "0, 1, 2, 3, 4, 5"), (8, "0, 1, 2, 3, 4, 5, and 2 more")])
def test_a_list_of_names(count: int, text: str) -> None:
    assert listed([str(number) for number in range(count)]) == text
