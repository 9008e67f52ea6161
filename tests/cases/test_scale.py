"""Much of something: pixels, and objects."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
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
    if kind == "voc":  # whose maps have a byte for an object
        asked = defectkit("convert", root, tmp_path / "out", "--to", kind)
        assert (asked.status, "shows 2500 objects" in asked.err, "use --to coco" in asked.err) == (2, True, True)
        return
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


CLASSES = 5_000
NAMES = [f"part {number:04}" for number in range(CLASSES)]


def described(root: Path) -> dict[str, int]:
    """Images of each class."""
    done = defectkit("describe", root, "--json")
    assert done.status == 0, done.err
    classes: dict[str, int] = done.json()["classes"]
    return classes


def viewed(tree: Path, out: Path) -> None:
    done = defectkit("view", tree, "--out", out, "--limit", "3")
    assert done.status == 0, done.err
    assert (out / "index.html").is_file()


def test_a_classification_tree_has_thousands_of_classes(tmp_path: Path) -> None:
    """As many classes as a catalogue of parts has; fewer than of objects, since each is a folder of its own."""
    names = NAMES[:800]
    for number, name in enumerate(names):
        (tmp_path / "in/train" / name).mkdir(parents=True)
        pixels = np.frombuffer(number.to_bytes(4, "big"), np.uint8).reshape(2, 2)
        (tmp_path / "in/train" / name / f"{number}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    tree = tmp_path / "out/yolo-classify"
    done = defectkit("convert", tmp_path / "in", tmp_path / "out", "--to", "yolo-classify", "--json").json()
    assert done["formats"]["yolo-classify"]["classes"] == names
    assert defectkit("verify", tmp_path / "out").status == 0
    assert described(tree) == dict.fromkeys(names, 1)
    (tmp_path / "in").rename(tmp_path / "gone")  # a gallery without its source takes half the time
    viewed(tree, tmp_path / "view")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO tree of 5,000 classes, each with one object of 2 x 2 pixels, a hundred of them in an image."""
    root = tmp_path_factory.mktemp("catalogue")
    images, annotations = [], []
    for number in range(CLASSES):
        image, place = divmod(number, 100)
        x, y = 4 * (place % 10), 4 * (place // 10)
        ring = [x, y, x + 2, y, x + 2, y + 2, x, y + 2]
        words = {"id": number + 1, "image_id": image + 1, "category_id": number + 1, "iscrowd": 0, "area": 4}
        annotations.append({**words, "bbox": [x, y, 2, 2], "segmentation": [ring]})
        if place == 0:
            images.append({"id": image + 1, "file_name": f"{image}.png", "width": 40, "height": 40})
            save_png(root / f"images/{image}.png", np.full((40, 40), image, np.uint8))
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "instances_train.json").write_text(json.dumps(document))
    return root


def test_objects_are_of_thousands_of_classes(tmp_path: Path, catalogue: Path) -> None:
    kinds = ["coco", "panoptic"]
    done = defectkit("convert", catalogue, tmp_path / "out", "--to", ",".join(kinds), "--json").json()
    assert defectkit("verify", tmp_path / "out").status == 0
    for kind in kinds:
        assert done["formats"][kind]["classes"] == NAMES
        shown = [one.label for image in read_labels(tmp_path / "out" / kind) for one in image.instances]
        assert sorted(shown) == NAMES
    assert described(tmp_path / "out/coco") == dict.fromkeys(NAMES, 1)
    viewed(tmp_path / "out/coco", tmp_path / "view")


@pytest.mark.parametrize("kinds", ["semantic", "coco,semantic"])
def test_class_maps_of_thousands_of_classes_are_refused(tmp_path: Path, catalogue: Path, kinds: str) -> None:
    done = defectkit("convert", catalogue, tmp_path / "out", "--to", kinds)
    assert (done.status, len(done.errors)) == (2, 1)
    assert "254 classes at most, and there are 5000; use --to coco" in done.errors[0]
    assert not (tmp_path / "out").exists()
