"""What the trainer is handed: the pixels that views show, of images of any depth and orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from converters import verify
from finetune.detection.data import open_detection_data, write_tree
from finetune.detection.runtime import load_ultralytics
from finetune.engine.runs import Run
from tests.commands import save
from tests.finetune.yolo_world.detecting import settings
from toolkit.imaging.images import read_header, read_image

SIDES = 96, 64  # stored width and height; larger than ultralytics resizes to


def camera(path: Path, largest: int, orientation: int = 1) -> Path:
    """An image as a camera of more than 8 bits stores it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(largest).integers(0, largest, SIDES[::-1], endpoint=True).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels if largest > 255 else pixels.astype(np.uint8)).save(path, exif=exif)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Photos of 12, 10, 16 and 8 bits beside their masks; one lies on its side."""
    root = tmp_path / "data"
    for name, largest, orientation in (
        ("twelve.png", 4095, 1),
        ("ten.tif", 1000, 1),
        ("sixteen.png", 65535, 1),
        ("eight.png", 255, 1),
        ("lying.png", 4000, 6),
    ):
        camera(root / "images" / name, largest, orientation)
        mask = np.zeros(SIDES if orientation == 6 else SIDES[::-1], np.uint8)
        mask[20:40, 10:30] = 255
        save(root / "masks" / f"{name.rpartition('.')[0]}.png", mask)
    return root


@pytest.fixture
def tree(data: Path, tmp_path: Path) -> Path:
    """The tree of a run, all of it train."""
    config = settings(split={"strategy": "native"})
    (tmp_path / "run").mkdir()
    return write_tree(open_detection_data(data, config), Run(tmp_path / "run", "yolo-world"), config, masks=False)


@pytest.mark.parametrize("mode", ["train", "val"])
def test_a_trainer_sees_what_a_view_shows(tree: Path, data: Path, mode: str) -> None:
    load_ultralytics()
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_yolo_dataset
    from ultralytics.data.utils import check_det_dataset

    told = check_det_dataset(str(tree))
    cfg: Any = get_cfg(overrides={"task": "detect", "imgsz": 64, "cache": False})
    dataset: Any = build_yolo_dataset(cfg, told["train"], 2, told, mode=mode, rect=mode == "val")
    assert len(dataset) == 5
    for number, file in enumerate(map(Path, dataset.im_files)):
        ours = read_image(next((data / "images").glob(f"{file.stem}.*")))
        seen, size, resized = dataset.load_image(number)
        assert size == ours.shape[:2]
        assert np.array_equal(seen, cv2.resize(ours, resized[::-1], interpolation=cv2.INTER_LINEAR)), file.name


def test_the_data_stays_as_it_is_and_the_tree_is_whole(tree: Path, data: Path) -> None:
    photos = tree.parent / "yolo-detect/images/train"
    assert {read_header(path).bits for path in photos.iterdir()} == {8}
    assert read_header(data / "images/twelve.png").bits == 16
    assert (photos / "eight.png").samefile(data / "images/eight.png")
    report = verify(tree.parent / "yolo-detect", against=data)
    assert [tree.failures for tree in report.trees] == [()]
    camera(photos / "twelve.png", 4094)
    assert "twelve.png" in verify(tree.parent / "yolo-detect", against=data).trees[0].failures[0]


def test_the_range_of_a_run_scales_all_its_photos(data: Path, tmp_path: Path) -> None:
    config = settings(split={"strategy": "native"}, depth=12)
    (tmp_path / "run").mkdir()
    write_tree(open_detection_data(data, config), Run(tmp_path / "run", "yolo-world"), config, masks=False)
    for name in ("twelve.png", "ten.tif", "eight.png"):
        seen = read_image(tmp_path / "run/data/yolo-detect/images/train" / name)
        assert np.array_equal(seen, read_image(data / "images" / name, 12)), name
    assert read_image(tmp_path / "run/data/yolo-detect/images/train/ten.tif").max() == 1000 >> 4
