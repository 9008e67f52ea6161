"""Trees as people have them: which image a file is of, what is good, what is unlabelled, and what is refused."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from converters import convert, read_labels, verify
from converters.formats.base import Reading
from converters.formats.labelme.embedded import main
from converters.formats.labelme.files import looks_labelled
from tests.commands import defectkit, save
from tests.converters.formats.labelme.judge import (
    HEIGHT,
    WIDTH,
    document,
    draw,
    picture_of,
    png,
    region,
    save_pair,
    shape,
    write,
)
from tests.converters.support import make_dataset
from toolkit import ToolkitError
from toolkit.imaging.images import read_image

DATA = Path(os.environ.get("DEFECT_DATA", "nowhere")) / "bsdata"


def problems(root: Path) -> list[str]:
    """What is wrong with a tree, without the folder before it, its images included."""
    tree = read_labels(root)
    found = [*tree.layout_problems, *(one for record in tree.records for one in record.inspect(None))]  # type: ignore[arg-type]
    return [str(one).replace(f"{root}/", "") for one in found]


def images_of(root: Path, **told: Any) -> dict[str, tuple[str, str | None, str]]:
    """Image -> class, kind and subset."""
    tree = read_labels(root, reading=Reading(**told))
    return {
        one.sample.image.relative_to(root).as_posix(): (one.sample.defect, one.sample.kind, one.sample.split)
        for one in tree.records
    }


def test_files_beside_their_images(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    save_pair(tmp_path, "b")
    save(tmp_path / "c.png", picture_of(3))
    assert images_of(tmp_path) == {
        "a.png": ("dent", "masks", "train"),
        "b.png": ("good", "good", "train"),
        "c.png": ("", "unlabelled", "train"),
    }
    assert images_of(tmp_path, without_label="good")["c.png"] == ("good", "good", "train")
    tree = read_labels(tmp_path)
    assert tree.classes() == ["dent"]
    rest = "1 image(s) without a LabelMe file: c.png: unlabelled: --without-label good takes them for good"
    assert tree.notes == (rest,)
    ((label, mask),) = region(tree, "a")
    assert label == "dent"
    assert np.array_equal(mask, draw(shape()))


def test_images_without_a_file_are_taken_as_told(tmp_path: Path) -> None:
    root = tmp_path / "in"
    save_pair(root, "a", shape())
    save(root / "c.png", picture_of(3))
    told = defectkit("convert", root, tmp_path / "one", "--to", "coco", "--json").json()
    assert told["formats"]["coco"]["subsets"]["train"] == {"images": 1, "instances": 1, "background": 0}
    told = defectkit("convert", root, tmp_path / "two", "--to", "coco", "--without-label", "good", "--json").json()
    assert told["formats"]["coco"]["subsets"]["train"] == {"images": 2, "instances": 1, "background": 1}
    assert verify(tmp_path / "two").passed


def test_images_in_folders_of_good_ones_are_good(tmp_path: Path) -> None:
    save_pair(tmp_path, "bad/a", shape())
    for name in ("b", "c", "d"):
        save(tmp_path / f"good/{name}.png", picture_of(ord(name)))
    assert images_of(tmp_path)["good/b.png"] == ("good", "good", "train")
    assert images_of(tmp_path, without_label="unlabelled")["good/b.png"] == ("", "unlabelled", "train")


PLACES = {
    "windows folders": ("label/a.json", "..\\img\\a.png", "img/a.png"),
    "absolute": ("label/a.json", "/home/me/project/img/a.png", "img/a.png"),
    "a drive": ("label/a.json", "D:\\work\\img\\a.png", "img/a.png"),
    "leads out": ("a.json", "../../../img/a.png", "img/a.png"),
    "bare name elsewhere": ("label/a.json", "a.png", "img/a.png"),
    "letter case": ("a.json", "A.PNG", "a.png"),
    "folders side by side": ("labels/train/a.json", "a.png", "images/train/a.png"),
    "renamed": ("a.json", "old.png", "a.png"),
    "renamed elsewhere": ("label/a.json", "old.png", "img/a.png"),
    "no name": ("a.json", "", "a.png"),
    "not of this name": ("x.json", "a.png", "a.png"),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_image_is_found(tmp_path: Path, place: str) -> None:
    label, told, image = PLACES[place]
    save(tmp_path / image, picture_of(1))
    if place == "folders side by side":
        save(tmp_path / "images/val/a.png", picture_of(2))
    write(tmp_path / label, document(shape(), image=told))
    assert images_of(tmp_path)[image][:2] == ("dent", "masks")
    assert not read_labels(tmp_path).layout_problems


def test_image_path_wins_where_the_image_of_its_own_name_has_another_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png", picture_of(ord(name)))
    write(tmp_path / "a.json", document(shape(), image="b.png"))
    write(tmp_path / "b.json", document(image="a.png"))
    assert {name: found[1] for name, found in images_of(tmp_path).items()} == {"a.png": "good", "b.png": "masks"}
    what = "names another image than that of the file's own name, and counts, as in LabelMe"
    note = f"imagePath of 2 file(s) {what}: a.json (imagePath b.png), b.json (imagePath a.png)"
    assert note in read_labels(tmp_path).notes


def test_a_renamed_file_whose_image_path_was_left_is_refused(tmp_path: Path) -> None:
    for name in ("images/a", "images/b"):
        save(tmp_path / f"{name}.png", picture_of(ord(name[-1])))
    write(tmp_path / "json/b.json", document(shape(), image="../images/a.png"))
    said = "is of images/b.png by its name, and of images/a.png by its imagePath; correct imagePath, or rename the file"
    assert problems(tmp_path) == [f"json/b.json: {said}"]
    assert images_of(tmp_path) == {}


def test_image_path_wins_over_the_name_beside_it_and_in_windows_folders(tmp_path: Path) -> None:
    for name in ("a/b.png", "a/a.png", "c/b.png"):
        save(tmp_path / name, picture_of(len(name)))
    write(tmp_path / "a/z.json", document(image="a.png"))
    write(tmp_path / "a/a.json", document(shape(), image="D:\\x\\b.png"))
    assert [name for name, found in images_of(tmp_path).items() if found[1] == "masks"] == ["a/b.png"]
    write(tmp_path / "a/a.json", document(shape(), image="..\\c\\b.png"))
    assert [name for name, found in images_of(tmp_path).items() if found[1] == "masks"] == ["c/b.png"]


def test_a_file_of_its_own_name_is_taken_before_a_namesake_elsewhere_and_said(tmp_path: Path) -> None:
    save(tmp_path / "new/a.png", picture_of(1))
    save(tmp_path / "old/b.png", picture_of(2))
    write(tmp_path / "new/a.json", document(shape(), image="b.png"))
    assert images_of(tmp_path)["new/a.png"][1] == "masks"
    note = "imagePath of 1 file(s) names no image that is there; those of the files' own names are taken"
    assert f"{note}: new/a.json (imagePath b.png)" in read_labels(tmp_path).notes


def test_subsets_are_those_of_folders(tmp_path: Path) -> None:
    for subset in ("train", "valid", "Testing"):
        save_pair(tmp_path, f"{subset}/{subset}", shape())
    assert {name: found[2] for name, found in images_of(tmp_path).items()} == {
        "train/train.png": "train",
        "valid/valid.png": "val",
        "Testing/Testing.png": "test",
    }


def test_two_files_of_one_image_are_refused(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    save_pair(tmp_path, "c", shape())
    write(tmp_path / "b.json", document(shape()))
    remedy = "remove one of the two, or correct its imagePath"
    assert problems(tmp_path) == [f"b.json: is of the image a.png, as a.json is; {remedy}"]
    assert "a.png" not in images_of(tmp_path)


def test_stems_that_meet_are_told_apart(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    save(tmp_path / "a.jpg", picture_of(4))
    write(tmp_path / "a_jpg.json", document(shape(label="rust"), image="a.jpg"))
    found = {one.sample.key: one.sample.defect for one in read_labels(tmp_path).records}
    assert found == {"a.png": "dent", "a.jpg": "rust"}


def test_an_image_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    write(tmp_path / "b.json", document(shape(), image="b.png"))
    remedy = "put it there, or correct imagePath"
    assert problems(tmp_path) == [f"b.json: no image b.png (looked below {tmp_path}); {remedy}"]


def test_where_its_file_holds_it_the_way_to_have_it_is_said(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    write(tmp_path / "b.json", document(shape(), image="b.png", imageData="AAAA"))
    (problem,) = problems(tmp_path)
    command = f"'python -m converters.formats.labelme.embedded {tmp_path}'"
    assert problem.endswith(f"; {command} writes what imageData holds beside it".replace(f"{tmp_path}/", ""))


def test_labels_without_any_image_are_read_without(tmp_path: Path) -> None:
    write(tmp_path / "in/a.json", document(shape()))
    assert images_of(tmp_path / "in") == {"a.png": ("dent", "masks", "train")}
    told = defectkit("convert", tmp_path / "in", tmp_path / "out", "--to", "coco", "--json").json()
    assert any(note.endswith("the labels of 1 images are read without them") for note in told["notes"])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "label": ({"label": None}, "shapes[0]: has the label null, which names no class; name its class"),
    "number for a label": ({"label": 3}, "shapes[0]: has the label 3, which names no class; name its class"),
    "type": (
        {"shape_type": "cuboid"},
        'shapes[0]: is of the type "cuboid", which LabelMe does not draw; draw it as a ',
    ),
    "type points": ({"shape_type": "points"}, 'shapes[0]: is of the type "points", which LabelMe does not draw'),
    "no points": ({"points": None}, "shapes[0]: has the points null, no list; correct or remove it"),
    "three": ({"points": [[1, 2, 3]]}, "shapes[0]: has the point [1, 2, 3], which is not [x, y]; correct or remove it"),
    "true": ({"points": [[True, 2]]}, "shapes[0]: has the coordinate true, no number; correct or remove it"),
    "text": ({"points": [["1", 2]]}, 'shapes[0]: has the coordinate "1", no number; correct or remove it'),
    "far": ({"points": [[1e7, 2]]}, "shapes[0]: has the coordinate 10000000.0, beyond all images; correct it"),
    "many": (
        {"shape_type": "circle", "points": [[1, 2]] * 3},
        "shapes[0]: is a circle of 3 points, and takes 2 points; correct or remove it",
    ),
    "a rectangle at an angle": (
        {"shape_type": "rectangle", "points": [[4, 4], [9, 6], [7, 11], [2, 9]]},
        "shapes[0]: is a rectangle of 4 points, and takes 2 points; correct or remove it",
    ),
    "group": ({"group_id": [1]}, "shapes[0]: has the group_id [1], no number; correct it"),
    "no mask": ({"shape_type": "mask", "points": [[1, 2]] * 2}, "shapes[0]: is a mask without its 'mask', a PNG"),
    "mask of text": (
        {"shape_type": "mask", "points": [[1, 2]] * 2, "mask": "?!"},
        "shapes[0]: its mask is no base64; draw it again, or remove it",
    ),
    "mask of other bytes": (
        {"shape_type": "mask", "points": [[1, 2]] * 2, "mask": "AAAA"},
        "shapes[0]: its mask is no PNG; draw it again, or remove it",
    ),
    "small mask": (
        {"shape_type": "mask", "points": [[1, 2], [5, 5]], "mask": png(np.ones((3, 5), bool))},
        "shapes[0]: is a mask of 5 x 3 pixels whose corners, first and last pixel, span 5 x 4; correct its points",
    ),
    "cut mask": (
        {"shape_type": "mask", "points": [[1, 2], [5, 5]], "mask": png(np.ones((4, 5), bool))[:60]},
        "shapes[0]: its mask: ",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_shapes_are_refused_by_their_number(tmp_path: Path, what: str) -> None:
    changed, expected = WRONG[what]
    save_pair(tmp_path, "ok", shape())
    save_pair(tmp_path, "a", {**shape(), **changed})
    (problem,) = problems(tmp_path)
    assert problem.startswith(f"a.json: {expected}")
    done = defectkit("convert", tmp_path, tmp_path.parent / f"{tmp_path.name}_out", "--to", "coco")
    assert (done.status, len(done.errors)) == (2, 1)
    out = tmp_path.parent / f"{tmp_path.name}_skipped"
    skipped = defectkit("convert", tmp_path, out, "--to", "coco", "--on-problem", "skip", "--json")
    assert skipped.json()["formats"]["coco"]["subsets"]["train"] == {"images": 1, "instances": 1, "background": 0}


FILES: dict[str, tuple[bytes, str]] = {
    "cut": (b'{"shapes": [], "imagePath"', "a.json: is no JSON that can be read"),
    "empty": (b"", "a.json: is no JSON that can be read"),
    "latin": ('{"shapes": [], "imagePath": "ü.png"}'.encode("latin-1"), "a.json: is no text in UTF-8 (byte"),
    "nan": (b'{"shapes": [{"label": "x", "points": [[NaN, 1]]}], "imagePath": ""}', "a.json: is no JSON that can be"),
    "shapes": (b'{"shapes": {}, "imagePath": "a.png"}', "a.json: its shapes are {}, no list"),
    "path": (b'{"shapes": [], "imagePath": 7}', "a.json: its imagePath is 7, no text; correct it"),
    "width": (b'{"shapes": [], "imagePath": "a.png", "imageWidth": 0}', "a.json: its imageWidth is 0, the size of no"),
    "size": (
        b'{"shapes": [], "imagePath": "a.png", "imageWidth": 9, "imageHeight": 9}',
        f"a.png: is {WIDTH} x {HEIGHT} pixels, its labels are for 9 x 9",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_wrong_files_are_problems_and_no_good_images(tmp_path: Path, what: str) -> None:
    data, expected = FILES[what]
    save_pair(tmp_path, "ok", shape())
    save(tmp_path / "a.png", picture_of(1))
    (tmp_path / "a.json").write_bytes(data)
    (problem,) = problems(tmp_path)
    assert problem.startswith(expected)
    kept = images_of(tmp_path, without_label="good")
    assert kept.keys() == ({"ok.png", "a.png"} if what == "size" else {"ok.png"})  # no label, and yet not good


def test_a_byte_order_mark_and_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = save_pair(tmp_path, "a", shape())
    path.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(json.loads(path.read_text()), indent=2).replace("\n", "\r\n").encode()
    )
    assert images_of(tmp_path)["a.png"][0] == "dent"


def test_json_of_another_kind_is_named(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    write(tmp_path / "settings.json", {"a": 1})
    assert read_labels(tmp_path).notes == ("1 JSON file(s) of another kind are not read: settings.json",)


def test_what_labelme_exported_is_passed_over(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    for name in ("img", "label", "label_viz"):
        save(tmp_path / f"a_json/{name}.png", picture_of(5))
    (tmp_path / "a_json/label_names.txt").write_text("_background_\ndent\n")
    assert list(images_of(tmp_path)) == ["a.png"]
    assert read_labels(tmp_path).notes == ("1 folder(s) that LabelMe exported are not read: a_json",)


def test_a_list_of_names_among_the_images_hides_none_of_them(tmp_path: Path) -> None:
    save_pair(tmp_path, "data/a", shape())
    (tmp_path / "data/label_names.txt").write_text("dent\n")
    assert list(images_of(tmp_path)) == ["data/a.png"]


def test_classes_with_numbers_are_named(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape(label="dent-1"), shape(label="dent-2"), shape(label="rust-1"))
    assert read_labels(tmp_path).notes == (
        "2 classes are called dent and a number: each is a class, and not an object of dent",
    )


def test_no_shape_at_all_is_a_problem(tmp_path: Path) -> None:
    save_pair(tmp_path, "a")
    save_pair(tmp_path, "b")
    (problem,) = problems(tmp_path)
    assert problem == f"{tmp_path}: no LabelMe file has a shape; name the folder of the files that have shapes"


def test_flags_without_shapes_are_not_good(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    save_pair(tmp_path, "b", flags={"scratched": True, "old": False})
    save_pair(tmp_path, "c", flags={"ok": True})
    found = images_of(tmp_path)
    assert [found[name][1] for name in ("b.png", "c.png")] == ["unlabelled", "good"]
    assert images_of(tmp_path, without_label="good")["b.png"][1] == "good"
    (note,) = read_labels(tmp_path).notes
    assert note.startswith("1 file(s) have no shape, and flags that may name a defect: b.json (scratched): unlabelled")


def test_images_of_nothing_but_what_is_to_be_ignored_are_unlabelled(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    save_pair(tmp_path, "b", shape(label="__ignore__"))
    assert images_of(tmp_path)["b.png"] == ("", "unlabelled", "train")


def test_labels_txt_gives_the_order(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape(label="ant"), shape(label="zebra"))
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nzebra\nant\nnever\n")
    tree = read_labels(tmp_path)
    assert tree.classes() == ["zebra", "ant", "never"]
    assert tree.notes == ("labels.txt lists 1 class(es) that occur nowhere: never",)
    (tmp_path / "labels.txt").write_text("zebra\n")
    assert read_labels(tmp_path).classes() == ["ant", "zebra"]


def test_rectangles_alone_are_boxes(tmp_path: Path) -> None:
    box = shape("rectangle", [(3, 4), (12, 20)])
    save_pair(tmp_path / "in", "a", box)
    save_pair(tmp_path / "in", "b", box, box)
    with pytest.raises(ToolkitError, match="its labels are boxes, and none of its objects has a mask: no yolo-segment"):
        convert(read_labels(tmp_path / "in"), tmp_path / "out", "yolo-segment")
    convert(read_labels(tmp_path / "in"), tmp_path / "out", ["yolo-detect", "coco", "labelme"])
    assert verify(tmp_path / "out").passed
    first = next(iter(read_labels(tmp_path / "out/labelme")))
    assert [(one.mask, one.bbox) for one in first.instances] == [(None, (3, 4, 13, 21))]
    save_pair(tmp_path / "in", "c", box, shape())
    convert(read_labels(tmp_path / "in"), tmp_path / "mixed", ["yolo-segment", "semantic"])


def test_one_file_is_a_root(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    save_pair(tmp_path, "b", shape())
    tree = read_labels(tmp_path / "a.json")
    assert [one.sample.image.name for one in tree.records] == ["a.png"]
    assert defectkit("convert", tmp_path / "a.json", tmp_path.parent / "one_out", "--to", "coco").status == 0


def test_what_changes_in_a_file_is_seen_when_going_on(tmp_path: Path) -> None:
    save_pair(tmp_path, "a", shape())
    (before,) = (one.label_digest() for one in read_labels(tmp_path).records)
    save_pair(tmp_path, "a", shape(points=[(4, 4), (20, 5), (12, 19)]))
    (after,) = (one.label_digest() for one in read_labels(tmp_path).records)
    assert before != after


def test_links_and_paths_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    save(tmp_path / "secret.png", picture_of(9))
    save_pair(tmp_path / "in", "a", shape())
    write(tmp_path / "in/b.json", document(shape(), image="../secret.png"))
    assert len(problems(tmp_path / "in")) == 1
    (tmp_path / "in/b.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ToolkitError, match="is a link that leads out of it"):
        read_labels(tmp_path / "in")


def test_names_of_every_kind(tmp_path: Path) -> None:
    for name in ("zwölf", "a b", "<script>", "it's"):
        save_pair(tmp_path / "in", name, shape(label=name))
    done = defectkit("convert", tmp_path / "in", tmp_path / "out", "--to", "labelme,coco")
    assert done.status == 0
    assert verify(tmp_path / "out").passed
    assert read_labels(tmp_path / "out/labelme").classes() == sorted(("zwölf", "a b", "<script>", "it's"))


def test_a_stray_file_does_not_make_a_tree(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "mvtec", {"dent": [np.ones((6, 6), bool)]})
    write(dataset.root / "part/test/dent/000.json", document(shape(), image="000.png"))
    assert not looks_labelled(dataset.root)
    done = defectkit("describe", tmp_path / "mvtec/part", "--json").json()
    assert done["layout"] == "mvtec"
    for name in ("a", "b", "c"):
        save(tmp_path / f"pairs/images/{name}.png", picture_of(ord(name)))
        save(tmp_path / f"pairs/masks/{name}.png", np.where(draw(shape()), 255, 0).astype(np.uint8))
    write(tmp_path / "pairs/images/a.json", document(shape()))
    assert not looks_labelled(tmp_path / "pairs")
    for name in ("a", "b", "c"):
        save(tmp_path / f"rows/images/{name}.png", picture_of(ord(name)))
        (tmp_path / "rows/labels").mkdir(exist_ok=True)
        (tmp_path / f"rows/labels/{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    write(tmp_path / "rows/images/a.json", document(shape()))
    assert not looks_labelled(tmp_path / "rows")


def test_trees_of_several_kinds_in_a_folder_are_not_one(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "in", {"dent": [np.ones((6, 6), bool)]})
    convert(dataset, tmp_path / "out", ["coco"])
    (tmp_path / "both").mkdir()
    (tmp_path / "out/coco").rename(tmp_path / "both/coco")
    (tmp_path / "both/coco/manifest.json").unlink()
    for name in "abcdefgh":
        save_pair(tmp_path / "both/mine", name, shape())
    with pytest.raises(ToolkitError, match="holds 2 label trees; name one: coco, mine"):
        read_labels(tmp_path / "both")


def test_few_files_among_many_images_are_read(tmp_path: Path) -> None:
    save_pair(tmp_path, "some/a", shape())
    for number in range(5):
        save(tmp_path / f"more/{number}.png", picture_of(number))
    tree = read_labels(tmp_path)
    assert (tree.kind, len(tree)) == ("labelme", 6)
    assert defectkit("describe", tmp_path, "--json").json()["layout"] == "labelme"


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_images_in_the_files_are_named_and_written_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    image = save(tmp_path / f"kept.{kind}", picture_of(3))
    embedded = base64.b64encode(image.read_bytes()).decode()
    told = document(shape(), image="C:\\old\\a.png", imageData=embedded, imageHeight=None, imageWidth=None)
    write(tmp_path / "in/a.json", told)
    tree = read_labels(tmp_path / "in")
    assert [(one.width, one.height) for one in tree] == [(WIDTH, HEIGHT)]
    command = f"python -m converters.formats.labelme.embedded {tmp_path / 'in'}"
    assert any(command in note for note in tree.notes)
    with patch.object(sys, "argv", command.split()[2:]):
        assert (main(), main()) == (0, 0)  # the second time all is there
        assert capsys.readouterr().out == f"{tmp_path / f'in/a.{kind}'}\n"
    assert (tmp_path / f"in/a.{kind}").read_bytes() == image.read_bytes()
    assert images_of(tmp_path / "in") == {f"a.{kind}": ("dent", "masks", "train")}


def test_a_damaged_image_is_not_written_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.json", document(shape(), imageData=base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()))
    with patch.object(sys, "argv", ["", str(tmp_path)]):
        assert main() == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/a.json: imageData: ")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_damaged_image_in_a_file_is_named(tmp_path: Path) -> None:
    told = document(shape(), imageData="!!!", imageHeight=None, imageWidth=None)
    write(tmp_path / "a.json", told)
    (problem,) = problems(tmp_path)
    assert problem == "a.json: imageData: the image that it holds is no base64; draw it again, or remove it"


@pytest.mark.skipif(not DATA.is_dir(), reason="DEFECT_DATA names no folder with bsdata in it")
def test_bsdata_is_what_labelme_draws_and_comes_back(tmp_path: Path) -> None:
    tree = read_labels(DATA)
    assert (len(tree), tree.classes()) == (21, ["Pitting"])
    assert sum(one.sample.kind == "unlabelled" for one in tree.records) == 3
    drawn = 0
    for record in tree.records:
        if record.payload is None:
            continue
        told, image = json.loads(Path(record.payload).read_text()), record.labelled()
        height, width = read_image(record.sample.image).shape[:2]
        assert [one.label for one in image.instances] == [one["label"] for one in told["shapes"]]
        for one, instance in zip(told["shapes"], image.instances, strict=True):
            assert np.array_equal(instance.whole(width, height), draw(one, (width, height)))
            drawn += 1
    assert drawn == 21
    convert(tree, tmp_path / "out", ["coco", "yolo-segment", "labelme"])
    assert {one.min_iou for one in verify(tmp_path / "out", against=tree).trees} == {1.0}
    convert(read_labels(tmp_path / "out/coco"), tmp_path / "back", "labelme")
    report = verify(tmp_path / "back", against=tree)
    assert (report.passed, report.min_iou) == (True, 1.0)
