"""The map of a gallery: points that the keyboard reaches, filters, and copies side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import view
from converters.sources import Source
from tests.browser.conftest import Opener
from tests.browser.test_gallery import await_true, serious_faults
from tests.commands import make_dataset, picture, save

ROWS = ("part/train/good/000", "part/train/good/001", "part/test/dent/000", "part/test/good/005")


def placed(source: Source) -> dict[str, tuple[float, float]]:
    """Four images in a row, and the others nowhere."""
    return {key: (number / 3, 0.5) for number, key in enumerate(ROWS)}


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("map")
    root = make_dataset(home / "data")
    save(root / "part/test/good/005.png", picture(0))  # as train/good/000
    table = home / "suspects.csv"
    table.write_text("key,label,suggested,score,why\npart/test/dent/000,dent,good,0.9,it looks good\n")
    report, _ = view(root, home / "gallery", places=placed, suspects=table)
    return report.index


def test_by_keyboard_to_an_image(mapped: Path, open_page: Opener) -> None:
    page = open_page(index=mapped.with_name("map.html"))
    assert page.inner_text("#counts") == "4 images of 4, 1 with a suspicious label"
    assert page.locator("#sets .alike").count() == 1
    assert "part/train/good/000" in page.inner_text("#sets")
    page.focus("#map")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert page.inner_text("#told") == "part/train/good/000, good, train"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#told") == "part/test/dent/000, dent, test, suspect 0.90"
    assert "part/test/dent/000" in page.inner_text("#card")
    page.uncheck("text=train")
    assert page.inner_text("#counts").startswith("2 images of 4")
    page.check("text=Suspicious labels alone")
    assert page.inner_text("#counts").startswith("1 image of 4")
    page.focus("#map")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open][data-ready]")
    assert "it looks good" in page.inner_text("#info dl")
    page.keyboard.press("Escape")
    assert await_true(page, "document.querySelector('header a[href=\"map.html\"]') !== null")


def test_nothing_is_in_the_way_of_a_screen_reader(mapped: Path, open_page: Opener, pytestconfig: pytest.Config) -> None:
    page = open_page(index=mapped.with_name("map.html"), viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious_faults(page, pytestconfig.rootpath) == []
