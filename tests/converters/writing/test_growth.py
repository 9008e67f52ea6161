"""Trees that grow with their source: what was there stays as it was, what is new is added, nothing goes unsaid."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, read_labels, verify
from tests.converters.support import make_dataset, save_png
from toolkit import ToolkitError, load_dataset
from toolkit.imaging.masks import read_class_ids

KINDS = ["coco", "yolo-segment", "yolo-classify"]


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Path, Path]:
    """A dataset of which a part is converted already, and the trees."""
    root, out = tmp_path / "data", tmp_path / "out"
    mark = np.zeros((12, 16), np.uint8)
    mark[3:7, 4:9] = 1
    make_dataset(root, {"scratch": [mark, mark.T.copy().T], "dent": [mark[::-1].copy()]})
    later = tmp_path / "later"
    for place in ("test", "ground_truth"):
        shutil.move(root / "part" / place / "dent", later / place)
    convert(root, out, KINDS)
    for place in ("test", "ground_truth"):
        shutil.move(later / place, root / "part" / place / "dent")
    return root, out


def classes(tree: Path) -> list[str]:
    return read_labels(tree).classes()


def test_what_is_new_is_added_and_ids_stay(grown: tuple[Path, Path]) -> None:
    root, out = grown
    before = {kind: classes(out / kind) for kind in KINDS}
    report = convert(root, out, KINDS, resume=True)
    for kind in KINDS:
        assert classes(out / kind) == [*before[kind], "dent"]  # and not in the order of the alphabet
        assert len(read_labels(out / kind)) == len(load_dataset(root))
    assert any("added to" in note for note in report.notes)
    assert verify(out, root).passed


def test_verify_tells_of_images_that_came_since(grown: tuple[Path, Path], tmp_path: Path) -> None:
    root, out = grown
    report = verify(out)
    assert report.passed
    said = "1 image(s) of the source are not in this tree (part/test/dent/000): 'defectkit convert ROOT OUT --resume'"
    assert [note for note in report.notes if "not in this tree" in note] == [
        f"{out / kind}: {said} adds those that are new" for kind in sorted(KINDS)
    ]
    convert(root, out, KINDS, resume=True)
    assert not any("not in this tree" in note for note in verify(out).notes)


def test_verify_says_nothing_of_images_that_were_left_out_for_a_reason(tmp_path: Path) -> None:
    mark = np.zeros((12, 16), np.uint8)
    mark[3:7, 4:9] = 1
    root = make_dataset(tmp_path / "data", {"dent": [mark, mark[::-1].copy()]}).root
    (root / "part/ground_truth/dent/000_mask.png").write_bytes(b"")
    convert(root, tmp_path / "out", ["coco", "masks"], on_problem="skip", images="none")
    assert not any("not in this tree" in note for note in verify(tmp_path / "out").notes)


def test_a_tree_never_loses_an_image_by_growing(grown: tuple[Path, Path]) -> None:
    root, out = grown
    next((root / "part/train/good").iterdir()).unlink()
    with pytest.raises(ToolkitError, match=r"image\(s\) that its source has no more: part/train/good/"):
        convert(root, out, KINDS, resume=True)


def test_nor_does_one_move(grown: tuple[Path, Path]) -> None:
    root, out = grown
    split = {sample.key: sample.split for sample in read_labels(out / "coco").samples}
    first = next(key for key, subset in split.items() if subset == "train")
    with pytest.raises(ToolkitError, match=f"would move to another subset: {first}"):
        convert(root, out, KINDS, split={**split, first: "val"}, resume=True)


@pytest.mark.parametrize("images", ["copy", "none"])
@pytest.mark.parametrize("kind", ["dent", "good"])
def test_nor_does_one_move_in_a_tree_that_tells_no_subsets(tmp_path: Path, kind: str, images: Any) -> None:
    root, out = tmp_path / "data", tmp_path / "out"
    mark = np.zeros((12, 16), np.uint8)
    mark[3:7, 4:9] = 1
    make_dataset(root, {"dent": [mark, mark.T.copy().T, mark[::-1].copy()]})
    split = {sample.key: ("train", "val", "test")[n % 3] for n, sample in enumerate(load_dataset(root))}
    convert(root, out, "masks", split=split, images=images)
    late = next(iter((root / "part/test/dent").iterdir()))
    for place, name in (("test", late.name), ("ground_truth", late.name.replace(".", "_mask."))):
        data = (root / "part" / place / "dent" / name).read_bytes()
        (root / "part" / place / "dent" / name.replace("00", "99")).write_bytes(data)
    split = {sample.key: split.get(sample.key, "train") for sample in load_dataset(root)}
    first = next(key for key in split if f"/{kind}/" in key and "99" not in key)
    moved = {**split, first: "test" if split[first] != "test" else "val"}
    if kind == "dent" or images != "none":  # else nothing in the tree is of a good image
        with pytest.raises(ToolkitError, match=r"masks: has image\(s\) that would move to another subset: of these, "):
            convert(root, out, "masks", split=moved, images=images, resume=True)
    report = convert(root, out, "masks", split=split, images=images, resume=True)
    assert any("masks: 1 image(s) added" in note for note in report.notes)
    assert verify(out, root).passed


def test_other_settings_are_no_growth(grown: tuple[Path, Path]) -> None:
    root, out = grown
    with pytest.raises(ToolkitError, match="is complete, but was made from other files or settings"):
        convert(root, out, KINDS, min_area=3, resume=True)


def test_a_tree_in_the_mvtec_layout_grows_too(tmp_path: Path) -> None:
    """Its images have other names and other subsets there than in the source."""
    root, out = tmp_path / "data", tmp_path / "out"
    mark = np.zeros((12, 16), np.uint8)
    mark[3:7, 4:9] = 255
    for name in ("1", "_2", "3"):
        save_png(root / f"images/line__a/{name}.png", mark // 2)
        save_png(root / f"masks/line__a/{name}.png", mark)
    layout = {"images": "images/{line}/{name}.png", "mask": "masks/{line}/{name}.png"}
    convert(load_dataset(root, layout=layout), out, ["coco", "masks"])
    save_png(root / "images/line__a/9.png", mark // 3)
    save_png(root / "masks/line__a/9.png", mark[::-1])
    report = convert(load_dataset(root, layout=layout), out, ["coco", "masks"], resume=True)
    assert [note for note in report.notes if "added" in note] == [
        "coco: 1 image(s) added to 3",
        "masks: 1 image(s) added to 3",
    ]
    assert len(read_labels(out / "masks")) == 4
    assert verify(out).passed


@pytest.mark.parametrize("source", ["masks", "coco", "yolo-segment", "semantic"])
def test_a_label_that_changed_is_written_anew(grown: tuple[Path, Path], tmp_path: Path, source: str) -> None:
    """The file may be as long as before: an uncompressed mask always is."""
    root, _ = grown
    if source != "masks":
        convert(root, tmp_path / "tree", source)
        root = tmp_path / "tree" / source
    convert(root, tmp_path / "made", "coco")
    edit = {"masks": "**/ground_truth/dent/*.png", "semantic": "masks/*/*dent*", "yolo-segment": "labels/*/*dent*"}
    path = next(root.glob(edit.get(source, "annotations/*test.json")))
    if path.suffix == ".png":
        ids = read_class_ids(path)
        save_png(path, np.roll(ids, 1, axis=1))
    elif path.suffix == ".txt":
        path.write_text(" ".join(f"{float(x) * 0.9:.6f}" if n else x for n, x in enumerate(path.read_text().split())))
    else:
        document = json.loads(path.read_text())
        document["annotations"][0]["segmentation"] = [[1, 1, 4, 1, 4, 4, 1, 4]]
        path.write_text(json.dumps(document))
    convert(root, tmp_path / "made", "coco", resume=True)
    assert verify(tmp_path / "made", root).passed


@pytest.mark.parametrize("kind", ["coco", "masks"])
def test_an_image_in_another_folder_is_another_image(tmp_path: Path, kind: str) -> None:
    """One of the same name does not stand for it."""
    root, out = tmp_path / "data", tmp_path / "out"
    layout = {"images": "images/{line}/{name}.png", "mask": "masks/{line}/{name}.png"}
    mark = np.eye(9, dtype=np.uint8) * 255
    for part in ("images", "masks"):
        save_png(root / part / "a/1.png", mark)
        save_png(root / part / "a/2.png", mark)
    convert(load_dataset(root, layout=layout), out, kind)
    for part in ("images", "masks"):
        shutil.move(root / part / "a/1.png", save_png(root / part / "b/3.png", mark).with_name("1.png"))
    with pytest.raises(ToolkitError, match=r"has 1 image\(s\) that its source has no more"):
        convert(load_dataset(root, layout=layout), out, kind, resume=True)
