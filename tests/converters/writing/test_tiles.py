"""Images cut into tiles: exact masks in every format, nothing lost at edges, and the proof that puts them together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from converters import FORMATS, convert, read_labels, verify, view
from converters.sources import open_source
from tests.commands import defectkit
from tests.converters.boxed import boxed_tree
from tests.converters.support import Bools, make_dataset, save_png, tree_copy
from toolkit import Tiles, ToolkitError, load_dataset
from toolkit.geometry.tiles import image_of_tile

KINDS = [name for name in FORMATS if name != "yolo-classify"]
PIXELS = [name for name in KINDS if name not in ("yolo-detect", "yolo-obb")]
SIZE = (100, 150)


def marks() -> tuple[Bools, Bools]:
    """A thread across the image with specks beside it; a ring that a tile's edge parts, and a block in the corner."""
    thread, ring = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    cv2.line(thread, (3, 5), (146, 91), 1, 1)
    thread[90, 4] = thread[4, 90] = thread[63, 63] = 1
    cv2.circle(ring, (64, 60), 20, 1, 3)
    ring[96:, 145:] = 1
    return thread.astype(np.bool_), ring.astype(np.bool_)


def pixels_of(path: Path) -> npt.NDArray[Any]:
    """All that an image file stores."""
    pixels: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return np.asarray(pixels)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, (thread, ring) = tmp_path_factory.mktemp("data"), marks()
    make_dataset(root, {"thread": [thread], "ring": {"a": ring, "b@x1y2": ring[::-1]}})
    small = np.zeros((30, 150), np.bool_)
    small[10:20, 60:80] = True
    make_dataset(root, {"dent": {"low": small}}, good=1)
    tiny = np.zeros((20, 30), np.bool_)
    tiny[3:6, 4:9] = True
    make_dataset(root, {"dent": {"tiny": tiny}}, good=0)
    return root


@pytest.fixture(scope="module")
def trees(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "labels"
    convert(data, out, KINDS, tiles=Tiles(64, 0.2))
    return out


def manifest(tree: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tree / "manifest.json").read_text())
    return found


def test_every_format_shows_the_mask_when_its_tiles_are_put_together(data: Path, trees: Path) -> None:
    truth = {sample.key: sample for sample in load_dataset(data)}
    report = verify(trees)
    assert report.passed, report.failures
    assert {(tree.kind, tree.min_iou) for tree in report.trees if tree.kind in PIXELS} == {(one, 1) for one in PIXELS}
    pasted = [note for note in report.notes if "5 image(s) that show something were pasted back from" in note]
    assert len(pasted) == len(PIXELS)
    assert all("min IoU 1.0000" in note for note in pasted)
    whole = {key: np.zeros(SIZE, np.bool_) for key in truth}
    for tile in read_labels(trees / "coco"):
        found = image_of_tile(tile.key)
        assert found is not None
        assert tile.path is not None
        (key, (x, y)), photo = found, pixels_of(truth[found[0]].image)
        there = np.s_[y : y + tile.height, x : x + tile.width]
        assert np.array_equal(pixels_of(tile.path), photo[there])
        whole[key][there] |= tile.marked()
    for key, sample in truth.items():
        if sample.masks:
            mask = pixels_of(sample.masks[0].path) > 0
            assert np.array_equal(whole[key][: mask.shape[0], : mask.shape[1]], mask)
        else:
            assert not whole[key].any()


def test_the_manifest_counts_tiles_and_the_parts_that_edges_cut(data: Path, trees: Path) -> None:
    told = manifest(trees / "coco")
    tiles, parts = told["tiles"], told["tiles"]["parts"]
    assert told["options"]["tiles"] == {"side": 64, "overlap": 0.2}
    assert (tiles["images"], tiles["uncut"], tiles["left_out"]) == (len(load_dataset(data)), 1, 0)
    assert parts["found"] == parts["whole"] + parts["cut"] == 10
    assert parts["cut"] == 3  # the thread, and both rings
    assert parts["written"] == sum(one["instances"] for one in told["subsets"].values())
    assert told["components"]["found"] == told["components"]["written"] == parts["written"]
    assert tiles["tiles"] == sum(one["images"] for one in told["subsets"].values()) == told["images"]["count"]
    uncut = next((trees / "coco").glob("images/*/*tiny@x0y0.png"))
    assert uncut.samefile(data / "part/test/dent/tiny.png")


@pytest.mark.parametrize("change", ["label", "photo", "tile", "count"])
def test_what_is_wrong_with_a_tile_fails_and_is_named(data: Path, trees: Path, tmp_path: Path, change: str) -> None:
    tree = tree_copy(trees / "yolo-segment", tmp_path)
    label = next(path for path in sorted(tree.glob("labels/*/*ring__a@*.txt")) if path.read_text())
    photo = next(tree.glob(f"images/*/{label.stem}.png"))
    said = {
        "label": "pasted back from its tiles is not what the source shows (IoU 0.",
        "photo": "is not the part of its source at x ",
        "tile": "of its 6 tiles are missing: part/test/ring/a@x",
        "count": "says 3 of its tiles' images",
    }
    if change == "label":
        label.write_text("")
    if change == "photo":
        pixels = pixels_of(photo)
        pixels[5, 5] ^= 1
        save_png(photo, pixels)
    if change == "tile":
        label.unlink()
        photo.unlink()
    if change == "count":
        told = manifest(tree)
        told["tiles"]["tiles"] = 3
        (tree / "manifest.json").write_text(json.dumps(told))
    report = verify(tree, data)
    assert not report.passed
    assert any(said[change] in failure for failure in report.failures), report.failures


def test_background_of_train_is_drawn_and_only_such_tiles_may_be_missing(data: Path, tmp_path: Path) -> None:
    def tiled(out: str, background: int | None) -> dict[str, Any]:
        report = convert(data, tmp_path / out, ["coco", "masks"], tiles=Tiles(32, 0, background))
        assert verify(tmp_path / out).passed
        return report.manifests["coco"]

    every, one, none = tiled("every", None), tiled("one", 1), tiled("none", 0)
    assert one["subsets"]["train"]["background"] == 2
    assert one["subsets"]["test"] == every["subsets"]["test"]
    assert one["tiles"]["left_out"] == every["tiles"]["tiles"] - one["tiles"]["tiles"]
    assert "train" not in none["subsets"]
    assert {told["reason"] for told in none["left_out"]} == {
        "none of its tiles shows an object, and --tiles-background leaves such out"
    }
    tree = tmp_path / "one" / "coco"
    told = json.loads((tree / "annotations/instances_test.json").read_text())
    lost = next(one["image_id"] for one in told["annotations"])
    told["images"] = [one for one in told["images"] if one["id"] != lost]
    told["annotations"] = [one for one in told["annotations"] if one["image_id"] != lost]
    (tree / "annotations/instances_test.json").write_text(json.dumps(told))
    assert any("tiles are missing" in failure for failure in verify(tree).failures)


def test_workers_a_resumed_run_and_later_images_give_the_same_bytes(data: Path, trees: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data, root)
    shutil.move(root / "part/test/thread", tmp_path / "later")
    shutil.move(root / "part/ground_truth/thread", tmp_path / "masks")
    kinds = ["coco", "masks"]
    convert(root, out, kinds, tiles=Tiles(64, 0.2), workers=3)
    shutil.move(tmp_path / "later", root / "part/test/thread")
    shutil.move(tmp_path / "masks", root / "part/ground_truth/thread")
    assert any("image(s) of the source are not in this tree" in note for note in verify(out).notes)
    report = convert(root, out, kinds, tiles=Tiles(64, 0.2), resume=True)
    assert any("1 image(s) added to 8" in note for note in report.notes), report.notes
    assert verify(out).passed
    assert manifest(out / "masks")["labels_sha256"] == manifest(trees / "masks")["labels_sha256"]
    with pytest.raises(ToolkitError, match="made from other files or settings"):
        convert(root, out, kinds, tiles=Tiles(64, 0.1), resume=True)


def test_a_run_that_stopped_goes_on(data: Path, trees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        if done == 5:
            shutil.copytree(tmp_path / "out", tmp_path / "killed", symlinks=True)
            raise Killed

    monkeypatch.setattr("converters.writing.conversion._CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Killed):
        convert(data, tmp_path / "out", ["coco"], tiles=Tiles(64, 0.2), progress=stop)
    told = convert(data, tmp_path / "killed", ["coco"], tiles=Tiles(64, 0.2), resume=True).manifests["coco"]
    whole = manifest(trees / "coco")
    same = ("labels_sha256", "tiles", "components", "subsets", "images")
    assert {name: told[name] for name in same} == {name: whole[name] for name in same}


def test_boxes_alone_and_beside_masks(tmp_path: Path) -> None:
    mask = {"bbox": [20, 20, 22, 5], "area": 110, "segmentation": [[20, 20, 42, 20, 42, 25, 20, 25]]}
    box = {"bbox": [25.5, 6.25, 10.5, 8], "area": 84, "segmentation": []}
    alone = boxed_tree(tmp_path / "alone", [[box], []])
    convert(alone, tmp_path / "boxes", ["yolo-detect", "coco", "voc", "cvat"], tiles=Tiles(32, 0))
    report = verify(tmp_path / "boxes")
    assert report.passed, report.failures
    found = {one.key: [i.bbox for i in one.instances] for one in read_labels(tmp_path / "boxes/coco") if one.instances}
    assert {key: found[key] for key in ("0@x0y0", "0@x18y8")} == {
        "0@x0y0": [(25.5, 6.25, 32.0, 14.25)],
        "0@x18y8": [(7.5, 0, 18.0, 6.25)],
    }
    both = boxed_tree(tmp_path / "both", [[box, mask]])
    convert(both, tmp_path / "mixed", ["coco", "yolo-segment"], tiles=Tiles(32, 0))
    assert verify(tmp_path / "mixed").passed


def test_a_tile_that_shows_what_is_not_asked_for_is_no_background(tmp_path: Path) -> None:
    far = {"bbox": [2, 2, 4, 4], "area": 16, "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]]}
    near = {"bbox": [40, 30, 8, 8], "area": 64, "segmentation": [[40, 30, 48, 30, 48, 38, 40, 38]]}
    tree = boxed_tree(tmp_path / "tree", [[far, near]])
    every = convert(tree, tmp_path / "every", "coco", tiles=Tiles(32, 0)).manifests["coco"]
    report = convert(tree, tmp_path / "few", "coco", tiles=Tiles(32, 0), max_area=20)
    told = report.manifests["coco"]
    assert (every["tiles"]["tiles"], told["tiles"]["tiles"], told["tiles"]["not_asked_for"]) == (4, 2, 2)
    assert [one.key for one in read_labels(tmp_path / "few/coco")] == ["0@x0y0", "0@x0y8"]
    assert any("2 tile(s) are left out, and no background" in note for note in report.notes)
    assert verify(tmp_path / "few").passed


def photos(root: Path) -> Path:
    """A JPEG that lies on its side, a picture of 16 bits and one with alpha, with masks."""
    mask, rng = np.zeros((80, 60), np.uint8), np.random.default_rng(0)
    mask[10:20, 28:40] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images").mkdir(parents=True)
    for name in ("lying", "deep", "clear"):
        save_png(root / f"masks/{name}.png", mask)
    Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8)).save(root / "images/lying.jpg", exif=exif)
    cv2.imwrite(str(root / "images/deep.png"), rng.integers(0, 65535, (80, 60), np.uint16))
    cv2.imwrite(str(root / "images/clear.png"), rng.integers(0, 255, (80, 60, 4), np.uint8))
    return root


def test_tiles_of_photos_are_upright_and_keep_depth_and_alpha(tmp_path: Path) -> None:
    root = photos(tmp_path / "data")
    report = convert(root, tmp_path / "out", ["coco", "yolo-segment"], tiles=32)
    assert verify(tmp_path / "out").passed
    assert not any("EXIF" in note for note in report.notes)
    for name, shape, kind in (
        ("lying", (32, 32, 3), "uint8"),
        ("deep", (32, 32), "uint16"),
        ("clear", (32, 32, 4), "uint8"),
    ):
        paths = (tmp_path / "out/coco/images").glob(f"*/{name}@*.png")
        tiles = [pixels_of(path) for path in paths]
        assert len(tiles) == 9
        assert {(one.shape, one.dtype.name) for one in tiles} == {(shape, kind)}
    one, other = ((tmp_path / "out" / kind / "images/train/deep@x0y0.png") for kind in ("coco", "yolo-segment"))
    assert one.samefile(other)


def test_faulty_images_are_left_out_whole(tmp_path: Path) -> None:
    root = photos(tmp_path / "data")
    data = (root / "images/lying.jpg").read_bytes()
    (root / "images/lying.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(ToolkitError, match=r"lying\.jpg"):
        convert(root, tmp_path / "out", ["coco"], tiles=32)
    report = convert(root, tmp_path / "out", ["coco"], tiles=32, on_problem="skip")
    assert report.manifests["coco"]["tiles"]["images"] == 2
    assert len(report.skipped) == 1
    assert verify(tmp_path / "out").passed


def test_the_gallery_shows_tiles_beside_their_part_of_the_source(trees: Path, tmp_path: Path) -> None:
    _, views = view(trees / "yolo-segment", tmp_path / "gallery", limit=3)
    item = next(one for one in views.items if one.key.startswith("part/test/ring/a@x51y"))
    shown = item.load()
    assert not shown.problems
    assert shown.difference is not None
    assert shown.difference.iou == 1
    assert shown.source is not None
    assert shown.source.shape == (64, 64)
    assert item.image is not None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--to", "yolo-classify", "--tiles", "64"], "--tiles: cuts images, and yolo-classify names a class"),
        (["--to", "coco", "--tiles", "64", "--images", "none"], "--images: none leaves the labels of tiles without"),
        (["--to", "coco", "--overlap", "0.2"], "--overlap: says how tiles are cut, and there are to be none; add --ti"),
        (["--to", "coco", "--tiles", "5"], "--tiles: 5 is no side of a tile; give 32 to"),
    ],
)
def test_refusals(data: Path, tmp_path: Path, more: Sequence[str], told: str) -> None:
    done = defectkit("convert", data, tmp_path / "out", *more)
    assert done.status == 2
    assert told in done.err
    assert not (tmp_path / "out").exists()


def test_tiles_of_an_image_are_a_group_that_no_split_of_their_tree_tears(trees: Path) -> None:
    samples = open_source(trees / "coco").dataset
    found = [image_of_tile(sample.key) for sample in samples]
    assert [sample.group for sample in samples] == [one and one[0] for one in found]
    assert len({sample.group for sample in samples}) == 9


@pytest.mark.skipif("DEFECT_DATA" not in os.environ, reason="DEFECT_DATA does not say where real images are")
def test_tiles_of_real_screws(tmp_path: Path) -> None:
    screws = load_dataset(Path(os.environ["DEFECT_DATA"]) / "mvtec_ad/screw")
    few = [sample.key for sample in screws if sample.defect == "thread_side"][:2]
    convert(screws.without(one.key for one in screws if one.key not in few), tmp_path, ["coco"], tiles=256)
    report = verify(tmp_path, screws)
    assert [(tree.images, tree.min_iou, tree.failures) for tree in report.trees] == [(50, 1.0, ())]
