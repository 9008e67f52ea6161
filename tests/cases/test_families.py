"""All the situations at a glance: 37 ways in which labels got lost or went wrong, as public reports tell them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FAMILIES = {
    "photos_and_masks": {
        "EXIF orientation": "photos are turned when they are shown, and masks drawn on either frame",
        "The shape in the alpha channel": "paint of one colour on a transparent layer",
        "Binary masks where 255 means ignore": "0 and 255 beside a dataset file",
        "12 bits in a file of 16": "pictures that look black",
        "All-zero masks": "nothing marked, in any encoding, alone or beside another mask",
        "Coloured masks": "red on black, palettes, grey 38, two colours",
        "0 is a class": "class maps without a background",
        "An adaptive palette": "black is not index 0",
    },
    "coco": {
        "Captions and keypoints beside instances": "the folder of annotations as it is shipped",
        "Ids as text or fractions": "category_id '0', image_id 1.0",
        "Names as Windows writes them": "backslashes",
        "Sizes of 0, and none": "and width for height",
        "One id for two images": "exports merged by hand",
        "A point beside a polygon": "and other rings that are none",
        "A parent made up": "a category that only groups others",
        "JSON of other editors": "byte order marks, NaN, raw control characters",
        "CVAT's COCO 1.0": "instances_default and images/default",
        "Stems that meet": "a.jpg beside a.png, one file twice, RLE of another size",
        "A product called valve": "subsets told by the beginnings of names",
        "Boxes asked for as masks": "rectangles called exact",
        "Boxes and areas of the vertices": "a sound file of another tool",
    },
    "yolo": {
        "Label Studio's export": "classes.txt and no data.yaml",
        "Capitals in folders": "Train/Images, Train/Labels",
        "Predictions taken for labels": "a confidence at the end of a row",
        "Coordinates that are not normalised": "pixels",
        "Rows of both kinds in one file": "boxes among polygons",
        "Pose rows": "as many numbers as a polygon has",
        "Defect codes as names": "010, no, null, 1e3, ~",
    },
    "folders_and_splits": {
        "BTAD's ok and ko": "good images in a folder of another name",
        "Defects of one name in train and in test": "one mask for two images",
        "The commonest folder of one's own": "images/ and masks/",
        "Names as old .NET packs them": "a zip with backslashes",
        "Augmented copies in a new split": "one photo in train and in test",
        "A class with one image": "remedies that do not work",
        "Good and bad without masks": "the folders of a classifier",
    },
    "scale": {
        "Pictures that Pillow takes for bombs": "line scans of 190 megapixels",
        "Porosity": "thousands of specks in one mask",
    },
}
"""Module -> what a situation is called, as the docstrings of its tests begin, and what it is about."""


def test_there_are_37() -> None:
    assert sum(map(len, FAMILIES.values())) == 37


@pytest.mark.parametrize("family", FAMILIES)
def test_each_has_a_test_that_names_its_reports(family: str) -> None:
    tree = ast.parse(Path(__file__).with_name(f"test_{family}.py").read_text(encoding="utf-8"))
    told = [ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)]
    for name in FAMILIES[family]:
        own = [text for text in told if text.startswith(name)]
        assert own, name
        assert all("(" in text and ("#" in text or "no report" in text or ".yaml" in text) for text in own), name
