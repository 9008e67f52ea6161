"""Links that lead out of a root are refused, unless the user has said that they may be followed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from converters import convert, read_labels, verify
from tests.commands import defectkit, make_dataset
from toolkit import ToolkitError, following_links, load_dataset
from toolkit.files.reach import check_links
from toolkit.flags import in_python

REFUSED = "leads out of it"


def linked(root: Path, elsewhere: Path, names: str = "*.png") -> int:
    """Move the files of a folder elsewhere and leave links in their place, as a second disk is used; their number."""
    files = sorted(path for path in root.rglob(names) if path.is_file())
    for number, path in enumerate(files):
        target = elsewhere / f"{number}{path.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        path.symlink_to(target)
    return len(files)


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((16, 24, 3), 90, np.uint8))
    return path


def coco(home: Path) -> Path:
    """A COCO tree of one image."""
    save(home / "images/train/a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 24, "height": 16}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "dent"}],
    }
    (home / "annotations").mkdir()
    (home / "annotations/instances_train.json").write_text(json.dumps(document))
    return home


def yolo(home: Path) -> Path:
    """A YOLO tree of one image, with a list of images."""
    save(home / "images/train/a.png")
    (home / "labels/train").mkdir(parents=True)
    (home / "labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (home / "data.yaml").write_text("train: train.txt\nval: images/train\nnames: [dent]\n")
    (home / "train.txt").write_text("images/train/a.png\n")
    return home


def semantic(home: Path) -> Path:
    """A tree of class maps of one image."""
    save(home / "images/train/a.png")
    (home / "masks/train").mkdir(parents=True)
    assert cv2.imwrite(str(home / "masks/train/a.png"), np.eye(16, 24, dtype=np.uint8))
    (home / "data.yaml").write_text("train: images/train\nmasks_dir: masks\nnames: [background, dent]\n")
    return home


def folder_out(home: Path, outside: Path) -> None:
    shutil.move(home / "images/train", outside / "train")
    (home / "images/train").symlink_to(outside / "train")


def file_out(name: str) -> Callable[[Path, Path], None]:
    def move(home: Path, outside: Path) -> None:
        target = outside / Path(name).name
        (home / name).rename(target)
        (home / name).symlink_to(target)

    return move


OUT = {
    "coco: an image": (coco, file_out("images/train/a.png"), "coco"),
    "coco: the annotations": (coco, file_out("annotations/instances_train.json"), "coco"),
    "coco: a folder": (coco, folder_out, "coco"),
    "yolo: an image": (yolo, file_out("images/train/a.png"), "yolo-detect"),
    "yolo: a label file": (yolo, file_out("labels/train/a.txt"), "yolo-detect"),
    "yolo: a list": (yolo, file_out("train.txt"), "yolo-detect"),
    "yolo: a folder": (yolo, folder_out, "yolo-detect"),
    "semantic: a map": (semantic, file_out("masks/train/a.png"), "coco"),
    "semantic: an image": (semantic, file_out("images/train/a.png"), "coco"),
}


@pytest.mark.parametrize("case", OUT)
def test_a_label_tree_whose_links_lead_out_is_read_when_told(case: str, tmp_path: Path) -> None:
    make, harm, form = OUT[case]
    home, outside = make(tmp_path / "tree"), tmp_path / "outside"
    outside.mkdir()
    harm(home, outside)
    told = defectkit("convert", home, tmp_path / "out", "--to", form)
    assert (told.status, len(told.errors)) == (2, 1)
    assert REFUSED in told.err
    assert "--follow-links" in told.err
    assert str(outside) in told.err
    assert not (tmp_path / "out").exists()
    assert defectkit("convert", home, tmp_path / "out", "--to", form, "--follow-links").status == 0


COMMANDS: dict[str, tuple[str, ...]] = {
    "describe": (),
    "split": ("SPLIT", "--strategy", "uniform", "--per-class", "2", "--test-per-class", "1"),
    "diff": ("ROOT",),
    "convert": ("OUT", "--to", "coco"),
    "view": ("--out", "OUT"),
    "layouts": (),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_a_root_has_the_way_out(command: str, tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    number = linked(tmp_path / "data", tmp_path / "disk")
    places = {"OUT": tmp_path / "out", "ROOT": tmp_path / "data", "SPLIT": tmp_path / "out.csv"}
    words = [str(places.get(word, word)) for word in COMMANDS[command]]
    root = ("--guess", tmp_path / "data") if command == "layouts" else (tmp_path / "data",)
    told = defectkit(command, *root, *words)
    assert (told.status, len(told.errors)) == (2, 1), told.err
    assert f"and {number - 1} more lead out of it; add --follow-links" in told.err
    assert defectkit(command, *root, *words, "--follow-links").status == 0


def test_a_dataset_of_links_is_opened_when_told(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    linked(tmp_path / "data", tmp_path / "disk", "*_mask.png")
    with pytest.raises(ToolkitError, match=REFUSED) as told:
        load_dataset(root)
    assert "follow_links=True" in str(told.value)
    assert in_python("add --follow-links") == "add follow_links=True"
    assert not load_dataset(root, follow_links=True).problems
    with following_links():
        assert not load_dataset(root).problems
    with pytest.raises(ToolkitError, match=REFUSED):
        load_dataset(root)


def test_a_root_may_be_a_link_and_links_may_stay_inside(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    linked(root, root / ".store")  # as git-annex keeps files
    (tmp_path / "link").symlink_to(root)
    assert not load_dataset(tmp_path / "link").problems
    assert defectkit("convert", tmp_path / "link", tmp_path / "out", "--to", "coco").status == 0


def test_links_to_what_nobody_reads_do_no_harm(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    (root / "LICENSE").symlink_to("/etc/hostname")
    (root / ".cache").symlink_to("/")
    (root / "gone.png").symlink_to(tmp_path / "gone.png")
    check_links(root)


@pytest.mark.parametrize("form", ["coco", "yolo-segment", "masks", "semantic"])
def test_our_trees_of_links_lead_into_their_source(form: str, tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    convert(load_dataset(root), tmp_path / "out", [form], images="symlink")
    tree = tmp_path / "out" / form
    assert defectkit("verify", tmp_path / "out").status == 0
    assert len(read_labels(tree))
    convert(read_labels(tree), tmp_path / "again", ["coco"], images="symlink")  # its links lead to the first source
    assert verify(tmp_path / "again").passed
    assert len(read_labels(tmp_path / "again/coco"))


def test_a_label_file_of_our_trees_of_links_is_read(tmp_path: Path) -> None:
    convert(load_dataset(make_dataset(tmp_path / "data")), tmp_path / "out", ["coco"], images="symlink")
    file = next((tmp_path / "out/coco/annotations").glob("*.json"))
    assert len(read_labels(file))


@pytest.mark.parametrize("source", ["/", "..", "../..", "", None, 3, "a\0b", "other"])
def test_a_manifest_allows_nothing_but_its_source(source: object, tmp_path: Path) -> None:
    home = coco(tmp_path / "home/tree")
    secret = save(tmp_path / "home/secret.png")
    (home / "images/train/a.png").unlink()
    (home / "images/train/a.png").symlink_to(secret)
    (tmp_path / "home/other").mkdir()
    (home / "manifest.json").write_text(json.dumps({"tool": "defectkit", "format": "coco", "source": source}))
    with pytest.raises(ToolkitError, match=REFUSED):
        check_links(home)


def test_what_lies_in_the_source_and_is_no_image_is_refused(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    (root / "secret.key").write_text("secret")
    convert(load_dataset(root), tmp_path / "out", ["coco"], images="symlink")
    image = next((tmp_path / "out/coco/images").rglob("*.png"))
    image.unlink()
    image.symlink_to(root / "secret.key")
    with pytest.raises(ToolkitError, match=REFUSED):
        read_labels(tmp_path / "out/coco")


def test_a_label_file_is_held_to_its_own_folder(tmp_path: Path) -> None:
    home = coco(tmp_path / "tree")
    (tmp_path / "outside").mkdir()
    (home / "other").symlink_to(tmp_path / "outside")  # nobody asked for it
    file = home / "annotations/instances_train.json"
    assert len(read_labels(file)) == 1
    file_out("images/train/a.png")(home, tmp_path / "outside")
    with pytest.raises(ToolkitError, match=REFUSED):
        read_labels(file)
    assert len(read_labels(file, follow_links=True)) == 1


NAMES = ("../../secret.key", "../secret.png", "/etc/passwd", "images/../../../secret.png", "C:\\secret.png")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_never_leads_out(name: str, tmp_path: Path) -> None:
    home = coco(tmp_path / "tree")
    save(tmp_path / "secret.png")
    (tmp_path / "secret.key").write_text("secret")
    for ours in (False, True):
        file = home / "annotations/instances_train.json"
        document = json.loads(file.read_text())
        document["images"][0]["file_name"] = name
        file.write_text(json.dumps(document))
        if ours:
            (home / "manifest.json").write_text(json.dumps({"tool": "defectkit", "format": "coco", "source": "../x"}))
        told = defectkit("convert", home, tmp_path / "out", "--to", "coco")
        written = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".json"]
        assert not written, told.err


def test_a_name_that_is_found_inside_is_taken_from_there(tmp_path: Path) -> None:
    home = coco(tmp_path / "tree")
    file = home / "annotations/instances_train.json"
    file.write_text(file.read_text().replace('"a.png"', '"/mnt/long/gone/a.png"'))
    assert defectkit("convert", home, tmp_path / "out", "--to", "coco").status == 0


@pytest.mark.parametrize("place", ["/", "//", "..", "../..", "/etc", "../outside", "C:\\", "~", "/home"])
@pytest.mark.parametrize("member", ["train", "path"])
def test_a_dataset_file_leads_nowhere_else(member: str, place: str, tmp_path: Path) -> None:
    home = yolo(tmp_path / "tree")
    save(tmp_path / "outside/secret.png")
    others = "" if member == "train" else "train: images/train\n"
    (home / "data.yaml").write_text(f"{member}: {json.dumps(place)}\n{others}names: [dent]\n")
    told = defectkit("convert", home, tmp_path / "out", "--to", "yolo-detect")
    assert told.status in (0, 2)
    assert [path.name for path in (tmp_path / "out").rglob("*.png") if "secret" in path.name] == []


@pytest.mark.parametrize("place", ["../outside", "/outside", "../../outside", "..\\outside"])
def test_maps_are_not_looked_for_elsewhere(place: str, tmp_path: Path) -> None:
    home = semantic(tmp_path / "tree")
    shutil.move(home / "masks", tmp_path / "outside")
    file = home / "data.yaml"
    file.write_text(file.read_text().replace("masks_dir: masks", f"masks_dir: {place}"))
    told = defectkit("convert", home, tmp_path / "out", "--to", "coco")
    assert (told.status, len(told.errors)) == (2, 1), told.err
    assert "has a masks_dir that is no folder in the tree; name it from there, as masks" in told.err


def test_a_link_to_a_whole_disk_is_not_walked(tmp_path: Path) -> None:
    home = yolo(tmp_path / "tree")
    (home / "data.yaml").unlink()
    (home / "classes.txt").write_text("dent\n")
    (home / "images/disk").symlink_to("/")
    for command in (["describe", home], ["view", home, "--out", tmp_path / "out"], ["verify", home]):
        told = defectkit(*map(str, command))
        assert (told.status, REFUSED in told.err) == (2, True)
    with pytest.raises(ToolkitError, match=REFUSED):
        read_labels(home)
