"""Photos as cameras save them, and masks as editors save them: the label lies on the defect, or the mask is named."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import yaml
from PIL import Image

from tests.cases.showing import (
    SIZE,
    advised,
    block,
    brightness,
    brightness_to_ultralytics,
    converted,
    objects,
    photo,
    product,
    refused,
    shown,
)
from tests.commands import defectkit, save
from toolkit.gallery.pictures import open_picture
from toolkit.imaging.images import read_image

Pixels = npt.NDArray[Any]
MARKED = block(8, 14, 4, 24)  # 20 x 6 pixels
BOX, AREA = (4, 8, 24, 14), 120
CHIP = [("chip", BOX, AREA)]
IMAGE = "part/test/chip/000"
MASK = "part/ground_truth/chip/000_mask.png"


def encoded(pixels: Pixels | Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, kind)
    return buffer.getvalue()


def painted(indices: Pixels, *colours: tuple[int, ...]) -> Pixels:
    return np.array(colours, np.uint8)[indices.astype(np.uint8)]


def palette(indices: Pixels, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette([value for colour in colours for value in colour])
    return image


TURNED = {
    "drawn upright, of the same size": (3, "upright", "their masks fit both ways: taken upright"),
    "drawn on the stored pixels": (6, "stored", "drawn on the pixels as stored: turned upright"),
    "drawn upright, of the turned size": (6, "upright", ""),
    "mirrored, drawn upright": (2, "upright", "their masks fit both ways: taken upright"),
    "transposed, drawn on the stored pixels": (5, "stored", "drawn on the pixels as stored: turned upright"),
}


@pytest.mark.parametrize("form", TURNED)
@pytest.mark.usefixtures("ultralytics")
def test_a_label_lies_on_the_defect_for_all_who_read_the_photo(tmp_path: Path, form: str) -> None:
    """EXIF orientation (wkentaro/labelme #1529, voxel51/fiftyone #3778, HumanSignal/label-studio #6608)."""
    orientation, frame, note = TURNED[form]
    root = product(tmp_path / "in", {"000_mask.png": MARKED})
    (root / f"{IMAGE}.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.where(MARKED > 0, 240, 60).astype(np.uint8)
    Image.fromarray(np.dstack([stored] * 3)).save(root / f"{IMAGE}.jpg", quality=100, exif=exif)
    upright = np.asarray(cv2.imread(str(root / f"{IMAGE}.jpg"), cv2.IMREAD_GRAYSCALE)) > 150
    if frame == "upright":
        save(root / MASK, upright * np.uint8(255))
    told = converted(root, tmp_path / "out", to="coco,yolo-segment")["notes"]
    of_masks = [one for one in told if "EXIF" in one and "in coco they are upright copies" not in one]
    assert of_masks == [one for one in told if note and note in one]
    assert sum("in coco they are upright copies" in one for one in told) == 1
    assert any(note in one for one in told)
    out = tmp_path / "out"
    ((pixels, seen),) = brightness_to_ultralytics(out / "yolo-segment", {0: "chip"}).values()
    assert pixels == AREA
    assert seen > 200
    for place in (root, out / "coco", out / "yolo-segment"):
        (ours,) = brightness(place).values()
        assert ours > 200, place
    assert objects(out / "coco")[IMAGE][0][2] == AREA
    ys, xs = np.nonzero(upright)
    assert objects(out / "coco")[IMAGE][0][1] == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_paint_on_a_transparent_layer_is_read_when_told(tmp_path: Path) -> None:
    """The shape in the alpha channel (OSU-NLP-Group/MagicBrush #10, ComfyUI #2539)."""
    paints = {"000_mask.png": (255, 255, 255), "001_mask.png": (0, 0, 0), "002_mask.png": (200, 30, 30)}
    masks: dict[str, Any] = {
        name: encoded(np.dstack([painted(MARKED * 0, colour), MARKED])) for name, colour in paints.items()
    }
    root = product(tmp_path / "in", masks)
    files = tuple(f"part/ground_truth/chip/{name}" for name in paints)
    done = refused(root, tmp_path / "out", files=files)
    assert all("may be in its alpha channel; say with --values alpha" in line for line in done.errors)
    converted(root, tmp_path / "out", "--values", "alpha")
    found = objects(tmp_path / "out/coco")
    assert [found[f"part/test/chip/00{number}"] for number in range(3)] == [CHIP] * 3


@pytest.mark.parametrize("names", ["[background, defect]", "[defect]", "{0: scratch, 1: dent}"])
def test_class_maps_of_0_and_255_are_not_taken_for_good(tmp_path: Path, names: str) -> None:
    """Binary masks where 255 means ignore (open-mmlab/mmsegmentation #1609, #1313)."""
    root = tmp_path / "in"
    for number in range(3):
        photo(root / f"images/train/{number}.png", number)
        save(root / f"masks/train/{number}.png", block(8, 14, 4 + number, 24))
    (root / "data.yaml").write_text(f"train: images/train\nmasks_dir: masks\nnames: {names}\n")
    (line,) = refused(root, tmp_path / "out", files=("masks/train",)).errors
    assert "every marked pixel in 3 class maps is 255, which means ignore" in line
    done = advised(line, root, tmp_path / "out")
    assert done.status == 0, done.err
    areas = {key: [area for _, _, area in found] for key, found in objects(tmp_path / "out/coco").items()}
    assert list(areas.values()) == [[120], [114], [108]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_camera_data_of_12_bits_are_seen(tmp_path: Path, suffix: str) -> None:
    """12 bits in a file of 16 (cvat-ai/cvat #10178, jsbroks/coco-annotator #601)."""
    root = product(tmp_path / "in", {"000_mask.png": MARKED})
    (root / f"{IMAGE}.png").unlink()
    deep = np.random.default_rng(0).integers(1700, 2300, SIZE, np.uint16)
    deep[MARKED > 0] = 4000
    path = save(root / f"{IMAGE}.{suffix}", deep)
    converted(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco")[IMAGE] == CHIP
    assert defectkit("describe", root, "--json").json()["depths"] == {"8": 1, "12": 1}
    for place in (root, tmp_path / "out/coco"):
        assert brightness(place)[IMAGE] == pytest.approx(4000 >> 4)
    picture = open_picture(path)
    for data in (picture.encoded, picture.thumbnail):
        assert data is not None
        levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert levels is not None
        assert (levels[MARKED == 0].min() > 90, levels[MARKED > 0].min() > 230) == (True, True)
    assert np.array_equal(read_image(path)[:, :, 0], deep >> 4)


ZERO = MARKED * np.uint8(0)
EMPTY = {
    "000.png": encoded(ZERO),
    "001.png": encoded(ZERO.astype(bool)),
    "002.png": encoded(ZERO.astype(np.uint16)),
    "003.png": encoded(np.dstack([ZERO] * 3)),
    "004.png": encoded(np.dstack([ZERO] * 3 + [ZERO + 255])),
    "005.png": encoded(palette(ZERO, (0, 0, 0), (200, 0, 0))),
    "006.bmp": encoded(ZERO, "BMP"),
    "007.tif": encoded(ZERO, "TIFF"),
    "008.jpg": encoded(ZERO, "JPEG"),
}


def test_a_mask_with_nothing_in_it_marks_nothing_however_it_is_saved(tmp_path: Path) -> None:
    """All-zero masks (HumanSignal/label-studio #3697, #3892, amazon-science/spot-diff #3)."""
    masks: dict[str, Any] = {f"{number:03}/{name}": data for number, (name, data) in enumerate(EMPTY.items())}
    root = product(tmp_path / "in", masks)
    files = tuple(f"part/ground_truth/chip/{name}" for name in masks)
    done = refused(root, tmp_path / "out", files=files)
    assert all("the mask of a defect image is all zero" in line for line in done.errors)
    for number in range(len(EMPTY)):
        save(root / f"part/ground_truth/chip/{number:03}/100.png", MARKED)
    converted(root, tmp_path / "out")
    found = {key: one for key, one in objects(tmp_path / "out/coco").items() if "/chip/" in key}
    assert found == {f"part/test/chip/{number:03}": CHIP for number in range(len(EMPTY))}


ONE = MARKED // 255
TWO = np.maximum(ONE, block(20, 25, 30, 36, 2))
SECOND = ((30, 20, 36, 25), 30)
RED, GREEN = (255, 0, 0), (0, 255, 0)
READ = {
    "VOC palette": palette(ONE, (0, 0, 0), (128, 0, 0)),
    "palette of greys, white first": palette(1 - ONE, (255, 255, 255), (0, 0, 0)),
}


@pytest.mark.parametrize("form", READ)
def test_a_mask_of_one_colour_is_read(tmp_path: Path, form: str) -> None:
    """Coloured masks that mean one thing (wkentaro/labelme #381)."""
    root = product(tmp_path / "in", {"000_mask.png": encoded(READ[form])})
    converted(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco")[IMAGE] == shown(root)[IMAGE] == CHIP


LAYOUT = {
    "images": "{category}/test/{class}/{name}.png",
    "mask": "{category}/ground_truth/{class}/{name}_mask.png",
    "values": {"#ff0000": "chip", "#00ff00": "hole"},
}
BOTH = [*CHIP, ("hole", *SECOND)]
TOLD: dict[str, tuple[Any, str, tuple[str, ...], list[tuple[str, Any, int]]]] = {
    "red on black": (painted(ONE, (0, 0, 0), RED), "--values nonzero", ("--values", "nonzero"), CHIP),
    "grey 38": (ONE * np.uint8(38), "--values nonzero", ("--values", "nonzero"), CHIP),
    "grey 38, by a threshold": (ONE * np.uint8(38), "that 38 marks", ("--threshold", "38"), CHIP),
    "two of a palette": (
        palette(TWO, (0, 0, 0), (128, 0, 0), (0, 128, 0)),
        "--values '1=NAME,2=NAME'",
        ("--values", "1=chip,2=hole"),
        BOTH,
    ),
    "two colours": (painted(TWO, (0, 0, 0), RED, GREEN), "name its colours in a layout file", ("--layout",), BOTH),
}


@pytest.mark.parametrize("form", TOLD)
def test_a_mask_that_may_mean_several_things_is_read_when_told(tmp_path: Path, form: str) -> None:
    """Coloured masks that are refused (jsbroks/imantics #4, wkentaro/labelme #381)."""
    mask, remedy, words, wanted = TOLD[form]
    root = product(tmp_path / "in", {"000_mask.png": encoded(mask)})
    (line,) = refused(root, tmp_path / "out", files=(MASK,)).errors
    assert remedy in line
    if words == ("--layout",):
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(LAYOUT))
        words = ("--layout", str(tmp_path / "mine.yaml"))
    converted(root, tmp_path / "out", *words)
    found = next(one for key, one in objects(tmp_path / "out/coco").items() if key.endswith("chip/000"))
    assert found == wanted


def test_a_mask_that_marks_all_but_the_defect_is_told_of(tmp_path: Path) -> None:
    """An inverted mask (jsbroks/imantics #4)."""
    root = product(tmp_path / "in", {"000_mask.png": 255 - MARKED})
    notes = converted(root, tmp_path / "out")["notes"]
    assert any("1 mask(s) mark more than half of their image, its corners included" in note for note in notes)
    assert objects(tmp_path / "out/coco")[IMAGE] == [("chip", (0, 0, 40, 30), 1200 - AREA)]


@pytest.mark.parametrize("mapping", [None, {7: 0, 9: 1}])
def test_class_0_that_has_a_name_is_a_class(tmp_path: Path, mapping: dict[int, int] | None) -> None:
    """0 is a class, 255 is not labelled (ultralytics' cityscapes8.yaml)."""
    root = tmp_path / "in"
    ids = block(0, 0, 0, 0)
    ids[:] = 255
    ids[8:14, 4:24] = 7 if mapping else 0
    ids[20:25, 30:36] = 9 if mapping else 1
    photo(root / "images/train/a.png")
    save(root / "masks/train/a.png", ids)
    document = {"train": "images/train", "masks_dir": "masks", "names": {0: "chip", 1: "hole"}}
    (root / "data.yaml").write_text(yaml.safe_dump({**document, **({"label_mapping": mapping} if mapping else {})}))
    converted(root, tmp_path / "out", to="coco,semantic,yolo-segment")
    for kind in ("coco", "semantic", "yolo-segment"):
        assert objects(tmp_path / "out" / kind) == {"a": BOTH}


SCARLET = Image.fromarray(painted(ONE, (0, 0, 0), (200, 0, 0)))
PALETTES = {
    "median cut": SCARLET.quantize(2),
    "adaptive": SCARLET.convert("P", palette=Image.Palette.ADAPTIVE, colors=2),
    "octree": SCARLET.quantize(2, method=Image.Quantize.FASTOCTREE),
}


@pytest.mark.parametrize("form", PALETTES)
def test_black_is_background_wherever_it_stands_in_a_palette(tmp_path: Path, form: str) -> None:
    """An adaptive palette (aurora95/Keras-FCN #35, python-pillow/Pillow #5690)."""
    root = product(tmp_path / "in", {"000_mask.png": encoded(PALETTES[form])})
    converted(root, tmp_path / "out")
    assert objects(tmp_path / "out/coco")[IMAGE] == CHIP


def test_a_palette_that_scatters_one_colour_over_several_is_refused(tmp_path: Path) -> None:
    """An adaptive palette's kin, that of the web (python-pillow/Pillow #5690)."""
    mask = SCARLET.convert("P")
    first, second = sorted(set(np.asarray(mask).ravel().tolist()) - {int(np.asarray(mask)[0, 0])})
    root = product(tmp_path / "in", {"000_mask.png": encoded(mask)})
    (line,) = refused(root, tmp_path / "out", files=(MASK,)).errors
    assert f"--values '{first}=NAME,{second}=NAME'" in line
    converted(root, tmp_path / "out", "--values", f"{first}=chip,{second}=chip")
    assert objects(tmp_path / "out/coco")[IMAGE] == CHIP
