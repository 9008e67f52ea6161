"""Much of something: pixels, and objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters import FORMATS, read_labels
from tests.cases.showing import block, converted, objects, product, shown
from tests.commands import defectkit
from tests.converters.support import boxes_of, save_png
from toolkit.imaging.images import ImageHeader, read_header

WIDTH, HEIGHT = 20000, 9500


def test_a_line_scan_of_190_megapixels_is_converted(tmp_path: Path) -> None:
    """Pictures that Pillow takes for bombs (scalableminds/webknossos-libs #892)."""
    for name in ("images", "masks"):
        (tmp_path / "in" / name).mkdir(parents=True)
    path = tmp_path / "in/images/0.jpg"
    photo = Image.new("L", (WIDTH, HEIGHT), 90)
    photo.save(tmp_path / "0.tif", compression="packbits")
    photo.save(path)
    mask = Image.new("1", (WIDTH, HEIGHT))
    mask.paste(1, (100, 4000, 5000, 4010))
    mask.save(tmp_path / "in/masks/0.png")
    assert read_header(path) == read_header(tmp_path / "0.tif") == ImageHeader(WIDTH, HEIGHT, 1)
    done = defectkit("convert", tmp_path / "in", tmp_path / "out", "--to", "coco")
    assert (done.status, "Warning" in done.err) == (0, False), done.err
    assert objects(tmp_path / "out/coco") == {"0": [("defect", (100, 4000, 5000, 4010), 49_000)]}


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_pictures_beyond_pillows_limit_are_viewed(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that Pillow takes for bombs (scalableminds/webknossos-libs #892); its limit is lowered here."""
    root = product(tmp_path / "in", {"000_mask.png": block(8, 14, 4, 24)})
    image = root / "part/test/chip/000.png"
    Image.open(image).save(image.with_suffix(f".{suffix}"))
    if suffix != "png":
        image.unlink()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    converted(root, tmp_path / "out")
    done = defectkit("view", tmp_path / "out/coco", "--out", tmp_path / "view")
    assert (done.status, "Warning" in done.err) == (0, False), done.err
    for place in (root, tmp_path / "out/coco"):
        assert shown(place)["part/test/chip/000"] == [("chip", (4, 8, 24, 14), 120)]


@pytest.fixture(scope="module")
def specks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int, int, int]]]:
    """An image with 2,500 specks of two pixels in its mask, and their boxes."""
    marked = np.zeros((304, 304), np.uint8)
    for dx in (0, 1):
        marked[2:302:6, 2 + dx : 302 + dx : 6] = 255
    root = tmp_path_factory.mktemp("specks")
    for name in ("images", "masks"):
        save_png(root / name / "0.png", marked)
    return root, boxes_of(marked > 0)


@pytest.mark.parametrize("kind", FORMATS)
def test_thousands_of_specks_are_objects(
    tmp_path: Path, specks: tuple[Path, list[tuple[int, int, int, int]]], kind: str
) -> None:
    """Porosity (Weed-AI/Weed-AI PR #117)."""
    root, boxes = specks
    assert len(boxes) == 2500
    done = defectkit("convert", root, tmp_path / "out", "--to", kind, "--json").json()
    components = done["formats"][kind]["components"]
    assert (components["found"], components["written"], components["skipped"]) == (2500, 2500, [])
    if kind == "yolo-classify":
        assert len(list((tmp_path / "out").rglob("defect/*.png"))) == 1
        return
    (image,) = read_labels(tmp_path / "out" / kind)
    assert len(image.instances) == 2500
    assert defectkit("verify", tmp_path / "out").status == 0
    if kind != "yolo-obb":  # whose rectangles have a margin for their decimals
        assert sorted(one.window for one in image.instances) == boxes
        assert sum(one.area for one in image.instances) == 5000
    if kind == "coco":
        (seen,) = shown(tmp_path / "out/coco").values()
        assert sorted(box for _, box, _ in seen) == boxes
