"""A review by keyboard alone, from the first image to labels that verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, read_labels, review, verify, view
from tests.browser.conftest import Opener
from tests.browser.test_gallery import await_true, serious_faults
from tests.commands import save
from toolkit import load_dataset

IMAGES = 40


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of forty images of labels, each with two instances."""
    home, random = tmp_path_factory.mktemp("review"), np.random.default_rng(3)
    mask = np.zeros((16, 24), np.uint8)
    mask[2:6, 3:9] = mask[10:13, 15:17] = 255
    for number in range(IMAGES):
        label = "dent" if number < IMAGES // 2 else "scratch"
        save(home / f"data/part/test/{label}/{number:03}.png", random.integers(60, 200, (16, 24), np.uint8))
        save(home / f"data/part/ground_truth/{label}/{number:03}_mask.png", mask)
    convert(load_dataset(home / "data"), home / "labels", "coco")
    view(home / "labels/coco", home / "gallery")
    return home


def exported(page: Any, tmp_path: Path) -> dict[str, Any]:
    with page.expect_download() as waited:
        page.keyboard.press("e")
    waited.value.save_as(tmp_path / "decisions.json")
    found = json.loads((tmp_path / "decisions.json").read_text())
    assert isinstance(found, dict)
    return found


def test_forty_images_by_keyboard(reviewed: Path, open_page: Opener, tmp_path: Path) -> None:
    page = open_page(index=reviewed / "gallery/index.html")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    for number in range(IMAGES):
        page.wait_for_selector(f"#viewer[data-ready='{number}']")
        if number == 5:
            page.keyboard.press("j")
            assert page.inner_text("#target") == "Instance 1 of 2: dent"
            page.keyboard.press("x")
            page.keyboard.press("k")
            page.keyboard.press("k")
        if number == 7:
            page.keyboard.press("t")
            page.keyboard.type("a wobbly one")
            page.keyboard.press("Enter")
        page.keyboard.press({3: "x", 4: "c", 7: "w"}.get(number, "a"))
        if number == 4:
            page.keyboard.press("2")
    assert "That was the last image" in page.inner_text("#viewer-status")
    page.keyboard.press("Escape")
    said = "Reviewed 40 of 40 images: 36 accepted, 2 rejected, 1 class changed, 1 needs work"
    assert page.inner_text("#review-count") == said
    told = exported(page, tmp_path)
    assert len(told["decisions"]) == IMAGES + 1
    (work,) = (one for one in told["decisions"] if one["decision"] == "needs-work")
    assert work["note"] == "a wobbly one"

    assert await_true(page, "!location.hash.includes('open=')")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.inner_text("#review-count") == said  # kept in the browser
    page.get_by_label("needs work").check()
    assert page.inner_text("#counts").startswith("Showing 1 of 40")

    report = review(reviewed / "gallery", tmp_path / "decisions.json", tmp_path / "out", tasks="labelme")
    assert (report.counts["labels_removed"], report.counts["labels_renamed"]) == (3, 2)
    assert verify(tmp_path / "out").passed
    assert len(read_labels(tmp_path / "out/coco")) == IMAGES - 2
    assert len(read_labels(tmp_path / "out/needs-work/labelme")) == 1


def test_decisions_among_the_images(reviewed: Path, open_page: Opener, tmp_path: Path) -> None:
    page = open_page("decision=undecided", index=reviewed / "gallery/index.html")
    page.keyboard.press("ArrowRight")
    for key in ("a", "x", "x"):
        page.keyboard.press(key)
    assert page.inner_text("#counts").startswith("Showing 37 of 40")
    page.evaluate("location.hash = 'decision=rejected'")
    assert await_true(page, "document.getElementById('counts').textContent.startsWith('Showing 2 of 40')")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("u")
    assert page.inner_text("#review-count") == "Reviewed 2 of 40 images: 1 accepted, 1 rejected"
    assert [one["decision"] for one in exported(page, tmp_path)["decisions"]] == ["accept", "reject"]


def test_the_choice_of_a_class_is_accessible(reviewed: Path, open_page: Opener, pytestconfig: pytest.Config) -> None:
    page = open_page(index=reviewed / "gallery/index.html", color_scheme="dark", reduced_motion="reduce")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.innerText.split('\\n')[0].trim()").startswith("scratch")
    assert serious_faults(page, pytestconfig.rootpath) == []
    page.keyboard.press("Enter")
    assert page.inner_text("#review-count") == "Reviewed 1 of 40 images: 1 class changed"
