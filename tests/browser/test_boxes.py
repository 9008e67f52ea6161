"""Boxes among masks, boxes alone and classes, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters import convert, read_labels, view
from tests.browser.conftest import Opener
from tests.converters.boxed import BOX, MASK, boxed_tree, classified_tree


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    convert(read_labels(boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX], []])), tmp_path / "out", ["coco"])
    return view(tmp_path / "out/coco", tmp_path / "g")[0].index


def test_a_box_among_masks_is_outlined_where_it_is(mixed: Path, open_page: Opener) -> None:
    page = open_page("open=0", index=mixed)
    page.wait_for_selector("#viewer[open][data-ready]")
    outlines = page.locator("#viewer .layer-outline:not(.casing):visible")
    assert sorted(outlines.evaluate_all("all => all.map((one) => one.getBBox().width)")) == [10, 12]
    assert page.locator("#viewer .layer-fill:visible").count() == 1
    said = page.inner_text("#info")
    assert "2 instances, 60 pixels" in said
    assert "masks exact (IoU 1)" in said
    assert "10 × 8" in said


def test_an_image_with_nothing_to_compare_is_not_called_exact(mixed: Path, open_page: Opener) -> None:
    for key in ("1", "2"):
        page = open_page(f"open={key}", index=mixed)
        page.wait_for_selector("#viewer[open][data-ready]")
        assert "exact" not in page.inner_text("#info")


def test_a_class_labels_the_image_as_a_whole(tmp_path: Path, open_page: Opener) -> None:
    convert(read_labels(classified_tree(tmp_path / "in")), tmp_path / "out", ["yolo-classify"])
    page = open_page("open=0", index=view(tmp_path / "out/yolo-classify", tmp_path / "g")[0].index)
    page.wait_for_selector("#viewer[open][data-ready]")
    assert "the image as a whole" in page.inner_text("#info")
