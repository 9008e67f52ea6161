"""Overlays and contact sheets: what is marked, what is left as it was, and what fits where."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from toolkit.errors import ToolkitError
from toolkit.geometry.labels import Instance, LabelledImage
from toolkit.plotting.overlays import class_colour, draw_overlay, overlay_sheet

CLASSES = ("crack", "dent", "hole")
Picture = npt.NDArray[np.uint8]


def block(label: str, x0: int, y0: int, x1: int, y1: int) -> Instance:
    return Instance(label, (x0, y0, x1, y1), np.ones((y1 - y0, x1 - x0), dtype=np.bool_), (x1 - x0) * (y1 - y0))


def labelled(*instances: Instance, width: int = 200, height: int = 160, path: Path | None = None) -> LabelledImage:
    return LabelledImage("part/test/crack/000", path, width, height, instances, "test", "crack")


def grey(width: int = 200, height: int = 160, level: int = 90) -> Picture:
    return np.full((height, width, 3), level, dtype=np.uint8)


def has_colour(picture: Picture, index: int) -> bool:
    return bool((picture == class_colour(index)[::-1]).all(axis=2).any())


def has_label(picture: Picture, index: int) -> bool:
    """Whether a solid area of the class's colour is there; outlines and boxes are thinner."""
    solid = (picture == class_colour(index)[::-1]).all(axis=2).astype(np.uint8)
    return bool(cv2.erode(solid, np.ones((3, 12), np.uint8)).any())


def test_seven_classes_have_seven_colours() -> None:
    assert len({class_colour(index) for index in range(7)}) == 7
    assert class_colour(7) == class_colour(0)


def test_a_good_image_is_returned_as_it_was() -> None:
    image = grey()
    overlay = draw_overlay(image, labelled(), classes=CLASSES)
    assert np.array_equal(overlay, image)
    assert overlay is not image


def test_the_image_that_is_given_is_left_as_it_was() -> None:
    image = grey()
    overlay = draw_overlay(image, labelled(block("crack", 50, 50, 80, 80)), classes=CLASSES)
    assert (image == 90).all()
    assert overlay.shape == image.shape
    assert overlay.dtype == np.uint8


def test_fill_lets_the_image_through_and_a_hole_stays_clear() -> None:
    mask = np.ones((40, 40), dtype=np.bool_)
    mask[15:25, 15:25] = False
    ring = Instance("dent", (60, 60, 100, 100), mask, int(mask.sum()))
    overlay = draw_overlay(grey(), labelled(ring), classes=CLASSES)
    tint = overlay[66, 66].astype(float)
    assert np.allclose(tint, 0.6 * 90 + 0.4 * np.array(class_colour(1)[::-1]), atol=1.5)
    assert (overlay[78:82, 78:82] == 90).all()
    assert (overlay[60, 70] == class_colour(1)[::-1]).all()  # outline
    assert (overlay[58, 70] == class_colour(1)[::-1]).all()  # box, one pixel away from the mask
    assert (overlay[59, 70] == 90).all()


@pytest.mark.parametrize("label", CLASSES)
def test_a_class_keeps_its_colour_whatever_else_is_shown(label: str) -> None:
    alone = draw_overlay(grey(), labelled(block(label, 50, 50, 80, 80)), classes=CLASSES)
    index = CLASSES.index(label)
    assert has_colour(alone, index)
    assert not any(has_colour(alone, other) for other in range(3) if other != index)


@pytest.mark.parametrize(
    "box", [(50, 50, 80, 80), (0, 0, 30, 30), (170, 130, 200, 160), (5, 0, 195, 120), (0, 60, 200, 100)]
)
def test_the_name_covers_no_mask_and_stays_in_the_image(box: tuple[int, int, int, int]) -> None:
    short, long = (
        draw_overlay(grey(), labelled(block(name, *box)), classes=[name]) for name in ("crack", "a longer name")
    )
    x0, y0, x1, y1 = box
    assert np.array_equal(short[y0:y1, x0:x1], long[y0:y1, x0:x1])
    assert not np.array_equal(short, long)


def test_many_specks_get_one_name() -> None:
    specks = [block("crack", x, y, x + 1, y + 1) for x in range(20, 190, 12) for y in range(40, 150, 12)]
    first, second = (
        draw_overlay(grey(), labelled(*(Instance(name, s.bbox, s.mask, 1) for s in specks)), classes=[name])
        for name in ("ab", "cd")
    )
    rows, columns = np.nonzero((first != second).any(axis=2))
    assert np.ptp(rows) < 12
    assert np.ptp(columns) < 20


def test_a_long_name_is_shortened_to_the_image() -> None:
    name = "a class with a name that is far longer than the image is wide"
    overlay = draw_overlay(grey(64, 64), labelled(block(name, 30, 40, 34, 44), width=64, height=64), classes=[name])
    edges = overlay[:, [0, 1, -2, -1]].reshape(-1, 3)  # the label's own margin: a text that is cut off runs into it
    assert {tuple(pixel) for pixel in edges.tolist()} == {(90, 90, 90), class_colour(0)[::-1]}


@pytest.mark.parametrize(
    ("image", "labels", "message"),
    [
        (grey(100, 160), labelled(), "part/test/crack/000: is 100x160 pixels, but its labels are for 200x160; "),
        (
            grey(),
            labelled(block("rust", 1, 1, 5, 5)),
            "part/test/crack/000: class 'rust' is not in the list of classes",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(image: Picture, labels: LabelledImage, message: str) -> None:
    with pytest.raises(ToolkitError, match=message):
        draw_overlay(image, labels, classes=CLASSES)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "bild größe.png"
    path.write_bytes(cv2.imencode(".png", grey(level=70))[1].tobytes())
    return path


@pytest.mark.parametrize(
    ("count", "columns", "tile", "shape"),
    [
        (1, 4, 256, (16 + 256 + 34 + 16, 16 + 256 + 16)),
        (5, 4, 128, (8 + 2 * (128 + 34 + 8), 8 + 4 * (128 + 8))),
        (3, 1, 64, (8 + 3 * (64 + 34 + 8), 8 + 64 + 8)),
    ],
)
def test_the_sheet_has_even_margins(photo: Path, count: int, columns: int, tile: int, shape: tuple[int, int]) -> None:
    images = [labelled(block("crack", 0, 0, 200, 160), path=photo)] * count
    sheet = overlay_sheet(images, classes=CLASSES, columns=columns, tile=tile)
    margin = max(8, tile // 16)
    assert sheet.shape == (*shape, 3)
    assert sheet.dtype == np.uint8
    frame = np.ones(shape, dtype=np.bool_)
    frame[margin:-margin, margin:-margin] = False
    assert (sheet[frame] == sheet[0, 0]).all()


def test_an_image_is_fitted_into_its_tile_without_distortion(photo: Path) -> None:
    sheet = overlay_sheet([labelled(path=photo)], classes=CLASSES, tile=200)
    tile = sheet[12:212, 12:212]
    assert (tile[20:180] == 70).all()
    assert (tile[:20] == tile[180:]).all()
    assert (tile[:20] != 70).all()


def test_an_image_without_a_file_is_grey() -> None:
    sheet = overlay_sheet([labelled(block("crack", 50, 50, 80, 80))], classes=CLASSES, tile=200)
    assert (sheet[112, 30] == 128).all()
    assert has_colour(sheet, 0)


def test_a_part_smaller_than_a_pixel_of_the_tile_is_still_marked() -> None:
    speck = labelled(block("dent", 700, 900, 701, 901), width=2048, height=2048)
    tile = overlay_sheet([speck], classes=CLASSES, tile=128)[8:136, 8:136]
    y, x = 900 // 16, 700 // 16
    assert not (tile[y, x] == 128).all()


def test_the_caption_says_class_and_key_and_keeps_within_its_tile() -> None:
    name, key = "a class name that does not fit below a tile", "a/very/long/key/" * 8 + "000"
    image = LabelledImage(key, None, 64, 64, (block(name, 10, 10, 20, 20),), "test", name)
    other_end = LabelledImage(key[:-3] + "111", None, 64, 64, image.instances, "test", name)
    sheet, other = (overlay_sheet([each, each], classes=[name], tile=96) for each in (image, other_end))
    captions = sheet[8 + 96 : 8 + 96 + 34]
    assert (captions[:, 8 + 96 : 8 + 96 + 8] == sheet[0, 0]).all()
    assert (captions[:16, 24:104] != sheet[0, 0]).any()  # beside the swatch
    assert (captions[16:, 8:104] != sheet[0, 0]).any()
    assert not np.array_equal(sheet, other)  # the end of a key tells images apart, so it is what is kept


def test_two_classes_in_an_image_are_both_named() -> None:
    both = labelled(block("crack", 20, 20, 60, 60), block("hole", 120, 90, 160, 130))
    sheet = overlay_sheet([both], classes=CLASSES)
    tile, strip = sheet[16 : 16 + 256, 16 : 16 + 256], sheet[16 + 256 :]
    assert [has_colour(strip, index) for index in range(3)] == [True, False, True]
    assert [has_label(tile, index) for index in range(3)] == [True, False, True]


def test_a_class_that_is_alone_is_named_below_the_tile_only() -> None:
    sheet = overlay_sheet([labelled(block("crack", 20, 20, 60, 60))], classes=CLASSES)
    assert has_colour(sheet[16 + 256 :], 0)
    assert not has_label(sheet[: 16 + 256], 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": []}, "no image to show"),
        ({"columns": 0}, "0 columns"),
        ({"tile": 8}, "of 8 pixels"),
    ],
)
def test_a_sheet_that_cannot_be_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ToolkitError, match=message):
        overlay_sheet(**({"images": [labelled()], "classes": CLASSES} | arguments))  # type: ignore[arg-type]


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(ToolkitError, match=r"broken\.png: "):
        overlay_sheet([labelled(path=broken)], classes=CLASSES)


def test_a_file_of_another_size_is_named(photo: Path) -> None:
    with pytest.raises(ToolkitError, match=r"größe\.png: is 200x160 pixels"):
        overlay_sheet([labelled(path=photo, width=100)], classes=CLASSES)
