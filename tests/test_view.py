"""`defectkit view`: what is shown of what, of each kind of label; its output whole or not at all; and resumed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from converters import convert
from converters.viewing.gallery_items import view
from tests.commands import (
    DEFECTS,
    HEIGHT,
    IMAGES,
    WIDTH,
    Outcome,
    defectkit,
    make_dataset,
    processor_seconds,
    save,
    snapshot,
)
from tests.processes import run
from toolkit import load_dataset
from toolkit.files.staging import STAGING, Staging

DEFECT_IMAGES = sum(DEFECTS.values())
INSTANCES = 2 * DEFECT_IMAGES  # each mask of `make_dataset` is a bar and a speck
FORMATS = ("coco", "panoptic", "yolo-segment", "semantic", "masks", "yolo-obb", "yolo-detect", "yolo-classify")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


@pytest.fixture
def trees(data: Path) -> Path:
    out = data.parent / "labels"
    convert(load_dataset(data), out, FORMATS, images="copy")
    return out


def calls(path: Path) -> list[Any]:
    """Arguments of the one call in a data file."""
    found = re.fullmatch(r"defectkit\.\w+\((.*)\);\n", path.read_text(), re.DOTALL)
    assert found
    values: list[Any] = json.loads(f"[{found[1]}]")
    return values


def index_of(gallery: Path) -> dict[str, Any]:
    (index,) = calls(gallery / "data/index.js")
    assert isinstance(index, dict)
    return index


def details(gallery: Path) -> dict[str, dict[str, Any]]:
    """Key -> what the full view draws."""
    keys = index_of(gallery)["columns"]["key"]
    return {key: calls(gallery / f"data/images/{number:06}.js")[1] for number, key in enumerate(keys)}


def test_a_dataset_shows_its_masks(data: Path, tmp_path: Path) -> None:
    done = defectkit("view", data, "--out", tmp_path / "g")
    assert done.status == 0
    assert f"{IMAGES} of {IMAGES} images, {INSTANCES} of {INSTANCES} instances shown" in done.out
    assert str(tmp_path / "g/index.html") in done.out
    index = index_of(tmp_path / "g")
    assert index["classes"] == [*DEFECTS, "good"]
    assert dict(index["layers"])["difference"] == "the labels shown are the source masks themselves"
    assert len(list((tmp_path / "g/images").iterdir())) == len(list((tmp_path / "g/thumbs").iterdir())) == IMAGES


# What a tree can show, and how its labels count: a class map joins nothing, a class says nothing of places.
SHOWN = {
    "coco": ("pixels", INSTANCES),
    "panoptic": ("pixels", INSTANCES),
    "yolo-segment": ("pixels", INSTANCES),
    "semantic": ("pixels", INSTANCES),
    "masks": ("pixels", INSTANCES),
    "yolo-obb": ("oriented", INSTANCES),
    "yolo-detect": ("boxes", INSTANCES),
    "yolo-classify": ("classes", 0),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_every_kind_of_tree(trees: Path, tmp_path: Path, kind: str) -> None:
    shapes, instances = SHOWN[kind]
    done = defectkit("view", trees / kind, "--out", tmp_path / "g", "--json").json()
    assert (done["kind"], done["compared"], done["images"], done["instances"]) == (
        f"{kind} labels",
        "data",
        IMAGES,
        instances,
    )
    assert done["problems"] == 0
    assert done["min_iou"] == (1.0 if shapes == "pixels" else None)
    index = index_of(tmp_path / "g")
    assert index["shapes"] == shapes
    assert (dict(index["layers"])["difference"] == "") == (shapes == "pixels")
    found = [one for detail in details(tmp_path / "g").values() for one in detail["instances"]]
    assert all(("fill" in one) == (shapes == "pixels") for one in found)


def test_boxes_are_drawn_as_written(trees: Path, tmp_path: Path) -> None:
    label = next(one for one in sorted((trees / "yolo-detect/labels/test").iterdir()) if "dent" in one.name)
    label.write_text("0 0.5 0.5 0.33 0.251\n")
    report, _ = view(trees / "yolo-detect", tmp_path / "g")
    assert report.problems == 1
    boxes = [detail["instances"] for key, detail in details(tmp_path / "g").items() if "dent/000" in key]
    box = [one["box"] for one in boxes[0]]
    assert box == [[round(WIDTH * 0.335, 3), round(HEIGHT * 0.3745, 3), round(WIDTH * 0.665, 3), 10.008]]
    ((_, problems),) = index_of(tmp_path / "g")["problems"]
    assert "1 boxes where the source has 2" in problems[0]


def test_lost_and_gained_are_counted(trees: Path, tmp_path: Path) -> None:
    path = trees / "coco/annotations/instances_test.json"
    document = json.loads(path.read_text())
    first = document["annotations"][0]
    first["segmentation"] = [[x + (place % 2 == 0) for place, x in enumerate(r)] for r in first["segmentation"]]
    path.write_text(json.dumps(document))
    done = defectkit("view", trees / "coco", "--out", tmp_path / "g", "--json").json()
    wrong = [one for one in details(tmp_path / "g").values() if one["lost"]["pixels"] or one["gained"]["pixels"]]
    assert [(one["lost"]["pixels"], one["gained"]["pixels"]) for one in wrong] == [(8, 8)]
    assert done["min_iou"] == pytest.approx(33 / 49)
    verified = defectkit("verify", trees / "coco", "--json").json()
    assert verified["min_iou"] == done["min_iou"]


def test_where_a_class_is_wrong_the_page_has_that_of_the_source(trees: Path, tmp_path: Path) -> None:
    path = trees / "coco/annotations/instances_test.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["category_id"] = 2
    path.write_text(json.dumps(document))
    view(trees / "coco", tmp_path / "g")
    (wrong,) = (one for one in details(tmp_path / "g").values() if one["renamed"])
    (other,) = wrong["renamed"]
    assert (other["class"], other["pixels"]) == (document["categories"][0]["name"], wrong["instances"][0]["area"])
    assert (wrong["lost"]["pixels"], wrong["gained"]["pixels"]) == (0, 0)


def test_components_left_out_are_lost_and_said(data: Path, tmp_path: Path) -> None:
    convert(load_dataset(data), tmp_path / "labels", ["coco"], min_area=2)
    done = defectkit("view", tmp_path / "labels", "--out", tmp_path / "g", "--json").json()
    assert any("--min-area 2" in note for note in done["notes"])
    assert sum(one["lost"]["pixels"] for one in details(tmp_path / "g").values()) == DEFECT_IMAGES


def test_of_several_trees_one_is_shown_and_the_others_named(trees: Path, tmp_path: Path) -> None:
    done = defectkit("view", trees, "--out", tmp_path / "g")
    assert "coco labels of" in done.out
    assert "8 label trees; coco is shown" in done.err
    shutil.rmtree(trees / "coco")
    assert "panoptic labels of" in defectkit("view", trees, "--out", tmp_path / "h").out


def test_without_images_the_source_has_them_or_the_canvas_is_grey(data: Path, tmp_path: Path) -> None:
    convert(load_dataset(data), tmp_path / "labels", ["coco"], images="none")
    done = defectkit("view", tmp_path / "labels/coco", "--out", tmp_path / "g", "--json").json()
    assert any("without images" in note for note in done["notes"])
    assert len(list((tmp_path / "g/images").iterdir())) == IMAGES
    data.rename(tmp_path / "gone")
    done = defectkit("view", tmp_path / "labels/coco", "--out", tmp_path / "h", "--json").json()
    assert (done["compared"], done["problems"], done["instances"]) == (None, 0, INSTANCES)
    assert any("--against" in note for note in done["notes"])
    assert not list((tmp_path / "h/images").iterdir())
    done = defectkit(
        "view", tmp_path / "labels/coco", "--out", tmp_path / "i", "--against", tmp_path / "gone", "--json"
    )
    assert done.json()["min_iou"] == 1


def test_problems_are_tiles(data: Path, tmp_path: Path) -> None:
    broken = data / "part/test/dent/000.png"
    broken.write_bytes(broken.read_bytes()[:60])
    save(data / "part/ground_truth/scratch/000_mask.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    save(data / "part/ground_truth/scratch/777_mask.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    done = defectkit("view", data, "--out", tmp_path / "g")
    assert done.status == 0
    assert "3 with a problem" in done.out
    index = index_of(tmp_path / "g")
    told = {index["columns"]["key"][place]: texts[0] for place, texts in index["problems"]}
    assert list(told) == [
        "part/ground_truth/scratch/777_mask.png",
        "part/test/dent/000",
        "part/test/scratch/000",
    ]
    assert told["part/test/dent/000"].startswith("part/test/dent/000.png: truncated")
    assert "all zero" in told["part/test/scratch/000"]
    assert str(tmp_path) not in (tmp_path / "g/data/index.js").read_text()


def test_an_image_that_is_missing_among_others_is_a_problem(trees: Path, tmp_path: Path) -> None:
    next(path for path in (trees / "coco/images/test").iterdir() if "dent" in path.name).unlink()
    shutil.rmtree(trees.parent / "data")
    report, _ = view(trees / "coco", tmp_path / "g")
    ((_, texts),) = index_of(tmp_path / "g")["problems"]
    assert (report.problems, report.instances) == (1, INSTANCES)
    assert "its image is not there" in texts[0]


def test_a_label_at_fault_leaves_its_image(trees: Path, tmp_path: Path) -> None:
    label = next(path for path in (trees / "yolo-segment/labels/test").iterdir() if "dent" in path.name)
    label.write_text("0 nonsense\n")
    report, _ = view(trees / "yolo-segment", tmp_path / "g")
    assert (report.problems, report.images) == (1, IMAGES)
    assert len(list((tmp_path / "g/images").iterdir())) == IMAGES


def test_a_sample_says_so(data: Path, tmp_path: Path) -> None:
    done = defectkit("view", data, "--out", tmp_path / "g", "--limit", "4")
    assert f"4 of {IMAGES} images, 4 of {INSTANCES} instances shown" in done.out
    assert f"A sample of 4 of {IMAGES} images, 4 of {INSTANCES} instances." in (tmp_path / "g/index.html").read_text()
    classes = index_of(tmp_path / "g")
    assert sorted({name for row in classes["columns"]["classes"] for name in row}) == [0, 1, 2]


def test_products_can_be_chosen(data: Path, tmp_path: Path) -> None:
    make_dataset(data, "other")
    assert defectkit("view", data, "--out", tmp_path / "g", "--category", "other", "--json").json()["images"] == IMAGES
    convert(load_dataset(data), tmp_path / "labels", ["coco"])
    done = defectkit("view", tmp_path / "labels", "--out", tmp_path / "h", "--category", "part", "--json").json()
    assert done["images"] == IMAGES
    done = defectkit("view", tmp_path / "labels", "--out", tmp_path / "i", "--category", "nut")
    assert "has no category 'nut'; it has: other, part" in done.err


def test_sheet(data: Path, tmp_path: Path) -> None:
    done = defectkit("view", data, "--out", tmp_path / "g", "--sheet", tmp_path / "sheet.png")
    assert str(tmp_path / "sheet.png") in done.out
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.shape[0] > 3 * 256


REFUSED = {
    "a folder that holds something": (["--out", "full"], "is not empty"),
    "a folder that is no gallery": (["--out", "full", "--overwrite"], "is no gallery that defectkit wrote"),
    "a file": (["--out", "full/file"], "is a file"),
    "inside what is shown": (["--out", "data/g"], "lies inside"),
    "around what is shown": (["--out", "."], "holds"),
    "no number": (["--out", "g", "--limit", "0"], "--limit: 0 is no number of images"),
    "a sheet that is no PNG": (["--out", "g", "--sheet", "a.jpg"], "a contact sheet is a PNG"),
    "a sheet that exists": (["--out", "g", "--sheet", "full/a.png"], "exists already"),
    "no category": (["--out", "g", "--category", "nut"], "has no category 'nut'"),
    "no source": (["--out", "g", "--against", "full"], "full"),
}


@pytest.mark.parametrize(("words", "problem"), REFUSED.values(), ids=REFUSED)
def test_refuses(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], problem: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    (tmp_path / "full/a.png").write_text("mine")
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    done = defectkit("view", "data", *words)
    assert done.status == 2
    assert len(done.errors) == 1
    assert problem in done.errors[0]
    assert snapshot(tmp_path) == before


def test_default_folder_overwrite_and_same_bytes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert defectkit("view", "data").status == 0
    first = snapshot(tmp_path / "data-gallery")
    assert "is not empty" in defectkit("view", "data").err
    (tmp_path / "data-gallery/thumbs/stale.webp").write_text("")
    assert defectkit("view", "data", "--overwrite", "--workers", "3").status == 0
    assert snapshot(tmp_path / "data-gallery") == first
    shutil.copytree(data, tmp_path / "elsewhere/data")
    view(tmp_path / "elsewhere/data", tmp_path / "elsewhere/g")
    assert snapshot(tmp_path / "elsewhere/g") == first


# Ends itself as a kill or Ctrl-C would when it has drawn some.
DRIVER = """
import signal, sys
import toolkit.gallery.building as building
from toolkit.cli import main
how, after, *words = sys.argv[1:]
write = building._write
def counting(built, number, *rest):
    if number == int(after):
        (built / "images" / f"{number:06}.png").write_bytes(b"half an ima")
        rest[-1].write(b'{"key": "half a li')
        rest[-1].flush()
        signal.raise_signal(signal.SIGKILL if how == "kill" else signal.SIGINT)
    write(built, number, *rest)
    print("drawn", number, file=sys.stderr)
building._write = counting
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it, and its children then do too
sys.argv = ["defectkit", *words]
main()
"""


def drive(how: str, after: int, *words: str | Path) -> Outcome:
    return run(DRIVER, how, str(after), *words)


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_an_interrupted_run_is_resumed(data: Path, tmp_path: Path, how: str) -> None:
    words = ("view", data, "--out", tmp_path / "g", "--workers", "1")
    whole = defectkit("view", data, "--out", tmp_path / "whole")
    assert whole.status == 0
    stopped = drive(how, 5, *words)
    assert stopped.status == (-signal.SIGKILL if how == "kill" else 130)
    assert how == "kill" or "--resume goes on" in stopped.err
    assert not (tmp_path / "g").exists()
    resumed = drive("not", 99, *words, "--resume")
    assert resumed.status == 0
    assert re.findall(r"drawn (\d+)", resumed.err) == [str(number) for number in range(5, IMAGES)]
    assert snapshot(tmp_path / "g") == snapshot(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "g", "whole"]
    again = defectkit(*words, "--resume")
    assert again.status == 0
    assert again.out == resumed.out


def test_what_a_kill_behind_the_last_step_leaves_is_removed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("view", data, "--out", tmp_path / "g")
    with monkeypatch.context() as killed:
        killed.setattr(Staging, "remove", lambda stage: None)
        assert defectkit(*words).status == 0
    assert f".g{STAGING}" in [path.name for path in tmp_path.iterdir()]
    assert defectkit(*words, "--resume").status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "g"]


def test_unfinished_work_of_other_settings_is_not_resumed(data: Path, tmp_path: Path) -> None:
    words = ("view", data, "--out", tmp_path / "g", "--workers", "1")
    drive("kill", 5, *words)
    refused = defectkit(*words, "--limit", "7", "--resume")
    assert refused.status == 2
    assert "begun with other files or settings" in refused.err
    assert defectkit(*words).status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "g"]


def test_a_full_disk_leaves_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28), "disk")

    monkeypatch.setattr("toolkit.gallery.building.write_pages", full)
    done = defectkit("view", data, "--out", tmp_path / "new/g")
    assert done.status == 2
    assert "No space left" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_help_comes_at_once() -> None:
    assert processor_seconds("view", "--help") < 1


def test_real_masks(mvtec_root: Path, tmp_path: Path) -> None:
    report, _ = view(mvtec_root / "screw", tmp_path / "g", limit=12)
    assert (report.images, report.images_found, report.problems) == (12, 480, 0)
