"""Class maps of other tools: what 0, 255 and mapped values mean, and what is wrong with a map, an image, a name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from converters import convert, read_labels, verify
from tests.commands import defectkit
from tests.converters.support import make_dataset, save_png
from tests.masks import SHAPES
from toolkit import ToolkitError

Map = npt.NDArray[np.uint8]
SIZE = (40, 50)
Areas = dict[str, list[tuple[str, int]]]


def drawn(*parts: tuple[int, int], ground: int = 0) -> Map:
    """A map of `ground` with a block of 10 x 10 px for each (value, column)."""
    ids = np.full(SIZE, ground, np.uint8)
    for value, column in parts:
        ids[5:15, column : column + 10] = value
    return ids


def map_tree(root: Path, maps: Mapping[str, Map], names: object = ("background", "dent"), **more: object) -> Path:
    """A tree of class maps of another tool: name (with folders below images/ and masks/) -> map."""
    for number, (name, ids) in enumerate(maps.items()):
        save_png(root / "images" / f"{name}.png", np.random.default_rng(number).integers(0, 256, SIZE))
        save_png(root / "masks" / f"{name}.png", ids)
    listed = list(names) if isinstance(names, tuple) else names
    document = {"train": "images/train", "masks_dir": "masks", "names": listed, **more}
    (root / "data.yaml").write_text(yaml.safe_dump(document))
    return root


def areas(root: Path) -> Areas:
    """Image -> class and area of each instance."""
    return {image.key: sorted((one.label, one.area) for one in image.instances) for image in read_labels(root)}


DENT = {"train/a": drawn((1, 5)), "train/b": drawn()}


def test_class_0_that_has_a_name_is_a_class_where_255_is_not_labelled(tmp_path: Path) -> None:
    ids = drawn((0, 5), (1, 30), ground=255)
    tree = read_labels(map_tree(tmp_path, {"train/a": ids}, {0: "road/scratch", 1: "dent"}))
    assert tree.classes() == ["road/scratch", "dent"]
    assert areas(tmp_path) == {"a": [("dent", 100), ("road/scratch", 100)]}
    (note,) = tree.notes
    assert "0 in its maps is the class 'road/scratch'" in note


@pytest.mark.parametrize(
    "word",
    [
        "background",
        "bg",
        "_background_",
        "Unlabeled",
        "unlabelled",
        "VOID",
        "none",
        "good",
        "ok",
        "normal",
        "No Defect",
    ],
)
def test_class_0_is_background_where_its_name_says_so(tmp_path: Path, word: str) -> None:
    tree = read_labels(map_tree(tmp_path, DENT, {0: word, 1: "dent"}))
    assert (tree.classes(), tree.notes) == (["dent"], ())
    assert areas(tmp_path) == {"a": [("dent", 100)], "b": []}


def test_class_0_without_a_name_is_background(tmp_path: Path) -> None:
    assert areas(map_tree(tmp_path, DENT, {1: "dent"})) == {"a": [("dent", 100)], "b": []}


def test_one_class_is_1_as_ultralytics_reads_it(tmp_path: Path) -> None:
    tree = read_labels(map_tree(tmp_path, DENT, ("dent",)))
    assert tree.classes() == ["dent"]
    assert areas(tmp_path) == {"a": [("dent", 100)], "b": []}
    assert "0 is background" in tree.notes[0]


def test_255_is_a_class_where_it_is_named_as_one(tmp_path: Path) -> None:
    maps = {"train/a": drawn((255, 5)), "train/b": drawn((1, 5))}
    assert areas(map_tree(tmp_path, maps, {0: "background", 1: "dent", 255: "rust"})) == {
        "a": [("rust", 100)],
        "b": [("dent", 100)],
    }


def test_255_called_ignore_is_ignored(tmp_path: Path) -> None:
    maps = {"train/a": drawn((1, 5), (255, 25))}
    tree = read_labels(map_tree(tmp_path, maps, {0: "background", 1: "dent", 255: "ignore"}))
    assert tree.classes() == ["dent"]
    assert areas(tmp_path) == {"a": [("dent", 100)]}


@pytest.mark.parametrize("names", [("background", "defect"), ("defect",), ("scratch", "dent")])
def test_a_tree_that_marks_all_with_255_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    maps = {f"train/{number}": drawn((255, 5 + number)) for number in range(3)}
    root = map_tree(tmp_path / "in", {**maps, "train/good": drawn()}, names)
    for command in (["describe", root], ["convert", root, tmp_path / "out", "--to", "coco"], ["verify", root]):
        done = defectkit(*command)
        assert done.status == 2
        (line,) = done.errors
        assert line.startswith(f"error: {root / 'masks/train'}: every marked pixel in 4 class maps is 255")
        assert '--image "images/{split}/{name}.png" --mask "masks/{split}/{name}.png" --values nonzero' in line
    assert not (tmp_path / "out").exists()


def test_a_tree_without_subsets_gets_patterns_without(tmp_path: Path) -> None:
    root = map_tree(tmp_path, {"a": drawn((255, 5))}, train="images")
    with pytest.raises(ToolkitError, match=r'--image "images/\{name\}\.png" --mask "masks/\{name\}\.png"'):
        read_labels(root)


def test_one_map_that_marks_all_with_255_is_a_problem(tmp_path: Path) -> None:
    root = map_tree(tmp_path / "in", {**DENT, "train/c": drawn((255, 5)), "train/d": np.full(SIZE, 255)})
    with pytest.raises(ToolkitError) as error:
        convert(read_labels(root), tmp_path / "out", ["coco"])
    assert [Path(problem.file).name for problem in error.value.problems] == ["c.png", "d.png"]
    assert all("which means ignore" in problem.problem for problem in error.value.problems)
    report = convert(read_labels(root), tmp_path / "out", ["coco"], on_problem="skip")
    assert report.manifests["coco"]["subsets"]["train"] == {"images": 2, "instances": 1, "background": 1}


def test_where_0_is_a_class_a_map_may_be_of_0_and_255(tmp_path: Path) -> None:
    maps = {"train/a": drawn((0, 5), ground=255), "train/b": drawn((1, 5), ground=255)}
    assert areas(map_tree(tmp_path, maps, ("scratch", "dent"))) == {"a": [("scratch", 100)], "b": [("dent", 100)]}


def test_pixels_to_ignore_beside_marked_ones_are_no_problem(tmp_path: Path) -> None:
    tree = read_labels(map_tree(tmp_path, {"train/a": drawn((1, 5), (255, 30))}))
    assert tree.layout_problems == ()
    assert areas(tmp_path) == {"a": [("dent", 100)]}


def test_label_mapping_is_honoured(tmp_path: Path) -> None:
    """As in ultralytics' cityscapes8.yaml: values of the maps to class ids, others as they stand."""
    maps = {"train/a": drawn((7, 5), (8, 20), (3, 35)), "train/b": drawn((9, 5), (7, 15))}
    mapping = {-1: "ignore_label", 0: "ignore_label", 3: None, 7: 0, 8: 1, 9: 0}
    tree = read_labels(map_tree(tmp_path, maps, {0: "road", 1: "dent"}, label_mapping=mapping))
    assert tree.layout_problems == ()
    assert areas(tmp_path) == {"a": [("dent", 100), ("road", 100)], "b": [("road", 200)]}


def test_reduce_zero_label_is_honoured(tmp_path: Path) -> None:
    maps = {"train/a": drawn((1, 5), (2, 20), (255, 35)), "train/b": drawn()}
    assert areas(map_tree(tmp_path, maps, ("scratch", "dent"), reduce_zero_label=True)) == {
        "a": [("dent", 100), ("scratch", 100)],
        "b": [],
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"label_mapping": [1, 2]}, "has a label_mapping that is no mapping"),
        ({"label_mapping": {"seven": 0}}, "label_mapping of 'seven' to "),
        ({"label_mapping": {7: "road"}}, "label_mapping of "),
        ({"label_mapping": {7: 0}, "reduce_zero_label": True}, "both label_mapping and reduce_zero_label"),
    ],
)
def test_a_mapping_that_is_not_understood_is_refused_by_name(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolkitError, match=rf"data\.yaml: .*{words}"):
        read_labels(map_tree(tmp_path, DENT, **more))


def test_a_mapping_to_a_class_without_a_name_is_a_problem_of_the_map(tmp_path: Path) -> None:
    root = map_tree(tmp_path / "in", {**DENT, "train/c": drawn((7, 5))}, label_mapping={7: 4})
    with pytest.raises(ToolkitError, match=r"c\.png: holds class 7, which data\.yaml does not name"):
        convert(read_labels(root), tmp_path / "out", ["coco"])


def test_classes_of_which_none_occurs_are_a_problem(tmp_path: Path) -> None:
    root = map_tree(tmp_path / "in", {"train/a": drawn()}, ("background", "dent", "rust"))
    (problem,) = read_labels(root).layout_problems
    assert str(problem).startswith(f"{root / 'data.yaml'}: names 2 classes, none of which occurs in any map")
    assert defectkit("convert", root, tmp_path / "out", "--to", "coco").status == 2


def test_a_class_that_never_occurs_is_a_note(tmp_path: Path) -> None:
    tree = read_labels(map_tree(tmp_path, DENT, ("background", "dent", "rust")))
    assert tree.layout_problems == ()
    assert [note.partition(": ")[2] for note in tree.notes] == ["names 2 classes, of which 1 occur in no map: rust"]


def test_our_own_trees_of_good_images_are_sound(tmp_path: Path) -> None:
    convert(make_dataset(tmp_path / "data", {}, good=2), tmp_path / "out", ["semantic"])
    assert (read_labels(tmp_path / "out").layout_problems, read_labels(tmp_path / "out").notes) == ((), ())


def test_0_in_our_own_trees_is_background_whatever_the_classes_are_called(tmp_path: Path) -> None:
    masks = {"none": [SHAPES["disk"]], "void": [SHAPES["ring"]]}
    convert(make_dataset(tmp_path / "data", masks, good=1), tmp_path / "out", ["semantic"])
    assert read_labels(tmp_path / "out").classes() == ["none", "void"]
    assert verify(tmp_path / "out").passed


def test_an_image_without_a_map_is_a_problem(tmp_path: Path) -> None:
    root = map_tree(tmp_path, DENT)
    (root / "masks/train/b.png").unlink()
    (problem,) = read_labels(root).layout_problems
    assert (Path(problem.file).name, problem.problem) == ("b.png", "an image without a class map")


def test_a_map_without_an_image_is_a_problem_where_others_have_theirs(tmp_path: Path) -> None:
    root = map_tree(tmp_path, DENT)
    (root / "images/train/b.png").unlink()
    (problem,) = read_labels(root).layout_problems
    assert (Path(problem.file).parent.name, problem.problem) == ("train", "a class map without an image")
    (root / "images/train/a.png").unlink()
    assert (read_labels(root).layout_problems, len(read_labels(root))) == ((), 2)


def test_a_map_of_another_size_than_its_image_is_a_problem(tmp_path: Path) -> None:
    root = map_tree(tmp_path / "in", DENT)
    save_png(root / "masks/train/a.png", drawn((1, 5))[:, :40])
    with pytest.raises(ToolkitError, match=r"40 x 40 pixels, .*50 x 40|50 x 40 pixels, .*40 x 40"):
        convert(read_labels(root), tmp_path / "out", ["coco"])
    assert not verify(root).passed


def test_a_map_that_cannot_be_read_is_a_problem_among_others(tmp_path: Path) -> None:
    root = map_tree(tmp_path / "in", {**DENT, "train/c": drawn((1, 5))})
    for name in ("a", "b"):
        (root / f"masks/train/{name}.png").write_bytes(b"")
    assert [Path(problem.file).name for problem in read_labels(root).layout_problems] == ["a.png", "b.png"]
    report = convert(read_labels(root), tmp_path / "out", ["coco"], on_problem="skip")
    assert report.manifests["coco"]["subsets"]["train"]["images"] == 1


def test_a_map_that_two_images_claim_is_a_problem(tmp_path: Path) -> None:
    root = map_tree(tmp_path, DENT)
    save_png(root / "images/train/a.jpg", np.full(SIZE, 90))
    (problem,) = read_labels(root).layout_problems
    assert (Path(problem.file).suffix, problem.problem) == (".png", "shares its class map with a.jpg")


def test_maps_in_folders_of_their_own_are_read(tmp_path: Path) -> None:
    maps = {"train/aachen/a": drawn((1, 5)), "train/bremen/a": drawn()}
    assert areas(map_tree(tmp_path, maps)) == {"train/aachen/a": [("dent", 100)], "train/bremen/a": []}


def test_a_folder_called_images_may_stand_above(tmp_path: Path) -> None:
    assert areas(map_tree(tmp_path / "images/set", DENT)) == {"a": [("dent", 100)], "b": []}


def test_a_folder_that_is_not_listed_is_named(tmp_path: Path) -> None:
    tree = read_labels(map_tree(tmp_path, {**DENT, "extra/c": drawn((1, 5))}))
    assert [note for note in tree.notes if "extra" in note and "1 image(s)" in note and "not read" in note]


def test_a_list_from_which_no_maps_follow_is_refused(tmp_path: Path) -> None:
    root = map_tree(tmp_path, DENT)
    (root / "images").rename(root / "photos")
    (root / "data.yaml").write_text("train: photos/train\nmasks_dir: masks\nnames: [background, dent]\n")
    with pytest.raises(ToolkitError, match=r"data\.yaml: lists photos/train, no part of which is called images"):
        read_labels(root)


def test_real_class_maps(tmp_path: Path) -> None:
    """NEU-Seg: 0 is background, 1 to 3 are classes."""
    named = os.environ.get("DEFECT_DATA", "")
    if not named or not (defect_data := Path(named)).is_dir():
        pytest.skip("needs real data: name its folder by the environment variable DEFECT_DATA")
    for subset, place in {"train": "training", "val": "test"}.items():
        for part, source in {"images": "images", "masks": "annotations"}.items():
            shutil.copytree(defect_data / "neu_seg" / source / place, tmp_path / part / subset)
    names = ["background", "inclusion", "patches", "scratches"]
    document = {"train": "images/train", "val": "images/val", "masks_dir": "masks", "names": names}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(document))
    tree = read_labels(tmp_path)
    assert tree.layout_problems == ()
    assert tree.classes() == names[1:]
    assert {one.label for image in tree for one in image.instances} <= set(names)
