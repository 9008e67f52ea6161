"""Photos with an EXIF orientation, as the programs see them that each format is for: labels lie where the defect is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from converters import FORMATS, ConvertReport, convert, diff, verify
from converters.formats.registry import find_format, read_manifest
from tests.converters.support import coco_document, save_png
from toolkit.imaging.images import read_image
from toolkit.imaging.orientation import turn

SUFFIXES = ("jpg", "png", "webp", "tif")
COPYING = ("coco", "masks", "voc", "yolo-classify")
SPOT = (6, 11, 4, 9)  # x0, x1, y0, y1 in the upright picture of 20 x 30 pixels


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dark photo of each kind of file, on its side, with a bright spot and its mask; and one that is upright."""
    root = tmp_path_factory.mktemp("photos")
    x0, x1, y0, y1 = SPOT
    marked = np.zeros((30, 20), np.uint8)
    marked[y0:y1, x0:x1] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images").mkdir()
    for name in (*SUFFIXES, "upright"):
        lies = name != "upright"
        stored = turn(marked, 8) if lies else marked  # 8 undoes 6
        suffix = name if lies else "png"
        image = Image.fromarray(np.dstack([stored // 2 + 10] * 3))
        image.save(root / f"images/of_{name}.{suffix}", exif=exif if lies else Image.Exif())
        save_png(root / f"masks/of_{name}.png", marked)
    return root


@pytest.fixture(scope="module")
def report(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> ConvertReport:
    return convert(photos, tmp_path_factory.mktemp("out") / "labels", FORMATS)


def is_bright_in_the_spot(picture: Any) -> bool:
    """Whether a picture (H, W, 3) shows the spot where the mask has it."""
    x0, x1, y0, y1 = SPOT
    spot = np.zeros(np.shape(picture)[:2], np.bool_)
    spot[y0:y1, x0:x1] = True
    grey = np.asarray(picture).max(axis=2)
    return spot.shape == (30, 20) and bool((grey[spot] > 80).all() and (grey[~spot] < 70).all())


def test_readers_that_do_not_turn_get_copies_and_the_others_links(report: ConvertReport, photos: Path) -> None:
    assert {name for name in FORMATS if not find_format(name).turns_photos} == set(COPYING)
    for name in FORMATS:
        kept_apart = {"labels", "masks", "ground_truth", "panoptic_train"}  # where label files of that name stand
        kept_apart |= {"Annotations", "SegmentationClass", "SegmentationObject"}
        files = [path.relative_to(report.out / name) for path in (report.out / name).rglob("*of_*")]
        shown = (path for path in files if path.suffix != ".json" and not kept_apart & set(path.parts[:-1]))
        pictures = [report.out / name / path for path in shown]
        linked = {path.name for path in pictures if path.stat().st_nlink > 1 and not is_shared_copy(path, report.out)}
        assert len(pictures) == 5, name
        assert len(linked) == (1 if name in COPYING else 5), (name, linked)
        assert report.manifests[name]["images"].get("upright", 0) == (4 if name in COPYING else 0)


def is_shared_copy(path: Path, out: Path) -> bool:
    """Whether a file is none of the source's, but linked between trees."""
    names = [one for one in out.rglob(f"*{path.stem}*") if one.is_file() and one.samefile(path)]
    return len(names) == path.stat().st_nlink


def test_it_is_said(report: ConvertReport) -> None:
    said = [note for note in report.notes if "upright copies" in note]
    assert said == [
        "4 photo(s) have an EXIF orientation: in yolo-classify, coco, masks, voc they are upright copies (PNG), "
        "since not all readers turn them"
    ]


def test_verify_and_diff_take_a_copy_for_its_photo(report: ConvertReport, photos: Path) -> None:
    assert [tree.failures for tree in verify(report.out, photos).trees] == [()] * len(FORMATS)
    assert diff(photos, report.out / "coco").pictures == ()


def test_another_copy_is_found_out(photos: Path, tmp_path: Path) -> None:
    convert(photos, tmp_path / "out", "coco")
    path = tmp_path / "out/coco/images/train/of_jpg.png"
    changed = read_image(path)
    path.unlink()
    save_png(path, changed[::-1])
    (failure,) = verify(tmp_path / "out", photos).trees[0].failures
    assert str(path) in failure
    assert diff(photos, tmp_path / "out/coco").pictures == ("of_jpg",)


def test_trees_without_images_name_the_photos_themselves(photos: Path, tmp_path: Path) -> None:
    convert(photos, tmp_path / "out", "coco", images="none")
    names = {Path(image["file_name"]).suffix for image in coco_document(tmp_path / "out/coco", "train")["images"]}
    assert names == {".jpg", ".png", ".webp", ".tif"}
    manifest = read_manifest(tmp_path / "out/coco")
    assert manifest is not None
    assert "upright" not in manifest["images"]


def test_copies_come_from_label_trees_too(report: ConvertReport, tmp_path: Path) -> None:
    again = convert(report.out / "yolo-segment", tmp_path / "out", "coco")
    assert again.manifests["coco"]["images"]["upright"] == 4
    pictures = sorted((tmp_path / "out/coco/images/train").iterdir())
    assert all(is_bright_in_the_spot(np.asarray(Image.open(path).convert("RGB"))) for path in pictures)


@pytest.mark.parametrize("name", COPYING)
def test_a_bare_pillow_sees_the_defect(report: ConvertReport, name: str) -> None:
    """As anomalib, torchvision and Hugging Face's image folders open images."""
    labels = {"ground_truth", "SegmentationClass", "SegmentationObject"}
    found = [path for path in (report.out / name).rglob("*of_*.png") if not labels & {*path.parts}]
    assert len(found) == 5
    for path in found:
        with Image.open(path) as image:
            assert is_bright_in_the_spot(np.asarray(image.convert("RGB"))), path


def test_torchvision_sees_the_defect(report: ConvertReport) -> None:
    datasets = pytest.importorskip("torchvision.datasets", reason='needs torchvision: pip install "defectkit[train]"')
    tree = report.out / "coco"
    found = datasets.CocoDetection(str(tree / "images/train"), str(tree / "annotations/instances_train.json"))
    folder = datasets.ImageFolder(str(report.out / "yolo-classify/train"))
    assert len(found) == len(folder) == 5
    assert all(is_bright_in_the_spot(image) for image, _ in [*found, *folder])
    assert all(boxes[0]["bbox"] == [6, 4, 5, 5] for _, boxes in found)


@pytest.mark.parametrize("name", ["yolo-detect", "yolo-segment", "yolo-obb", "semantic"])
def test_ultralytics_turns_what_it_reads(report: ConvertReport, name: str, ultralytics: Any) -> None:
    from ultralytics.data.utils import exif_size
    from ultralytics.utils.patches import imread

    found = sorted((report.out / name / "images/train").iterdir())
    assert {path.suffix for path in found} == {".jpg", ".png", ".webp", ".tif"}
    for path in found:
        assert is_bright_in_the_spot(imread(path)), path
        with Image.open(path) as image:
            assert exif_size(image) == (20, 30)


def test_what_opens_files_through_opencv_sees_them_too(report: ConvertReport) -> None:
    for name in COPYING:
        for path in (report.out / name).rglob("*of_*.png"):
            if "ground_truth" not in path.parts:
                assert is_bright_in_the_spot(cv2.imread(str(path))), path
