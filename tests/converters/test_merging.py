"""Several roots as one: keys that meet, classes that are united, and the proof against each of them."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import convert, diff, read_labels, verify, view
from converters.formats.base import Settings
from converters.formats.registry import read_manifest
from converters.merging import open_sources
from tests.commands import defectkit
from tests.converters.boxed import BOX, MASK, boxed_tree, classified_tree
from tests.converters.support import make_dataset, save_png
from tests.masks import SHAPES
from toolkit import ToolkitError, load_dataset, split_dataset
from toolkit.files.reach import LinkError

RING, COMB = SHAPES["ring"], SHAPES["comb"]
BLOCK = np.zeros((30, 20), np.bool_)
BLOCK[3:12, 4:9] = True


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    """Two products without a key in common, and a third root with the keys of the first."""
    make_dataset(tmp_path / "one", {"dent": [RING], "scratch": [COMB]}, category="bolt")
    make_dataset(tmp_path / "two", {"burr": [BLOCK], "dent": [COMB]}, category="nut")
    make_dataset(tmp_path / "three", {"dent": [BLOCK], "scratch": [RING]}, category="bolt")
    return [tmp_path / name for name in ("one", "two", "three")]


def manifest_of(tree: Path) -> dict[str, Any]:
    manifest = read_manifest(tree)
    assert manifest is not None
    return manifest


def areas(tree: Path) -> dict[str, list[tuple[str, int]]]:
    return {image.key: [(one.label, one.area) for one in image.instances] for image in read_labels(tree)}


def test_keys_stay_where_none_meet_and_classes_come_in_the_order_of_the_roots(roots: list[Path]) -> None:
    one, two, _ = roots
    report = convert([two, one], two.parent / "out", "coco", images="none")
    manifest = report.manifests["coco"]
    assert manifest["classes"] == ["burr", "dent", "scratch"]
    assert manifest["sources"] == ["../two", "../one"]
    assert "source" not in manifest
    assert "prefixes" not in manifest
    keys = {sample.key for root in (one, two) for sample in load_dataset(root)}
    assert {image.key for image in read_labels(two.parent / "out")} == keys
    alone = convert(one, two.parent / "alone", "coco", images="none").manifests["coco"]
    assert alone["source"] == "../one"
    assert "sources" not in alone


def test_all_keys_get_the_name_of_their_root_where_two_meet(roots: list[Path]) -> None:
    out = roots[0].parent / "out"
    report = convert(roots, out, ["coco", "yolo-segment", "semantic", "panoptic", "masks", "yolo-classify"])
    assert report.manifests["coco"]["prefixes"] == ["one", "two", "three"]
    assert "roots have keys in common: each key begins with the name of its root, one/, two/, three/" in report.notes
    want = {f"{root.name}/{sample.key}" for root in roots for sample in load_dataset(root)}
    assert {image.key for image in read_labels(out / "coco")} == want
    found = areas(out / "coco")
    assert found["one/bolt/test/dent/000"] == [("dent", int(RING.sum()))]
    assert found["three/bolt/test/dent/000"] == [("dent", int(BLOCK.sum()))]
    proof = verify(out)
    assert proof.passed, proof.failures
    assert all(tree.exact == (18 if tree.kind == "yolo-classify" else 6) for tree in proof.trees)


@pytest.mark.parametrize("kind", ["coco", "yolo-segment", "semantic"])
def test_a_wrong_label_of_either_root_fails(roots: list[Path], kind: str) -> None:
    one, _, three = roots
    out = one.parent / "out"
    convert([one, three], out, kind)
    for root in (one, three):  # the other's masks in the place of its own
        mask = root / "bolt/ground_truth/dent/000_mask.png"
        kept = mask.read_bytes()
        shutil.copy(root / "bolt/ground_truth/scratch/000_mask.png", mask)
        assert not verify(out)
        mask.write_bytes(kept)
    assert verify(out)


def test_roots_that_moved_are_named_again_in_their_order(roots: list[Path]) -> None:
    one, _, three = roots
    out = one.parent / "out"
    convert([one, three], out, "coco", images="copy")
    one.rename(one.parent / "north")
    three.rename(one.parent / "south")
    assert not any(tree.exact for tree in verify(out).trees)
    assert "name it with" in verify(out).notes[0]
    assert verify(out, against=[one.parent / "north", one.parent / "south"]).passed
    assert not verify(out, against=[one.parent / "south", one.parent / "north"]).passed
    told = defectkit("verify", out, "--against", one.parent / "north", "--against", one.parent / "south")
    assert told.status == 0
    assert defectkit("verify", out, "--against", one.parent / "north").status == 1


def test_a_key_that_comes_to_meet_another_leaves_the_tree_as_it_was(roots: list[Path]) -> None:
    one, two, _ = roots
    out = one.parent / "out"
    convert([one, two], out, "coco")
    shutil.copytree(one / "bolt", two / "bolt")
    proof = verify(out)
    assert proof.passed, proof.failures
    assert any("not in this tree (two/bolt/" in note for note in proof.notes)


def test_label_trees_and_datasets_of_any_format_are_merged(roots: list[Path]) -> None:
    one, two, three = roots
    home = one.parent
    convert(one, home / "a", "coco", images="copy")
    convert(three, home / "b", "yolo-segment", images="copy")
    given = [home / "a", two, home / "b/yolo-segment"]
    report = convert(given, home / "out", ["panoptic", "yolo-detect"])
    assert report.manifests["panoptic"]["prefixes"] == ["a", "two", "yolo-segment"]
    assert report.manifests["panoptic"]["sources"] == ["../a/coco", "../two", "../b/yolo-segment"]
    assert verify(home / "out").passed
    assert areas(home / "out/panoptic")["yolo-segment/bolt/test/dent/000"] == [("dent", int(BLOCK.sum()))]


def test_folders_of_one_name_are_told_apart_by_what_is_above_them(roots: list[Path]) -> None:
    home = roots[0].parent
    for root in (roots[0], roots[2]):
        convert(root, home / f"from-{root.name}", "coco", images="none")
    trees = [home / "from-one/coco", home / "from-three/coco"]
    report = convert(trees, home / "out", "coco", images="none")
    assert report.manifests["coco"]["prefixes"] == ["from-one", "from-three"]
    again = convert([home / "one/bolt", home / "three/bolt"], home / "again", "coco", images="none")
    assert again.manifests["coco"]["prefixes"] == ["one", "three"]


def test_boxes_and_classes_beside_masks_are_what_they_are(roots: list[Path]) -> None:
    home = roots[0].parent
    boxed_tree(home / "boxed", [[BOX], [MASK], []])
    source = open_sources([roots[0], home / "boxed"])
    assert source.holds == "pixels"
    report = convert([roots[0], home / "boxed"], home / "out", ["yolo-detect", "coco", "semantic"], images="none")
    assert report.manifests["semantic"]["fidelity"]["rectangles"] == 1
    assert verify(home / "out").passed
    classified_tree(home / "classified")
    with pytest.raises(ToolkitError, match="classified: its labels are classes of whole images"):
        convert([roots[0], home / "classified"], home / "no", "coco")
    assert not (home / "no").exists()
    both = convert([roots[0], home / "classified"], home / "yes", "yolo-classify", images="none")
    assert both.manifests["yolo-classify"]["classes"] == ["dent", "scratch", "rust"]
    assert verify(home / "yes").passed


def test_oriented_boxes_beside_masks_do_not_become_masks(roots: list[Path]) -> None:
    home = roots[0].parent
    convert(roots[0], home / "boxes", "yolo-obb", images="copy")
    with pytest.raises(ToolkitError, match=r"its labels are oriented boxes.*no yolo-segment; use"):
        convert([home / "boxes", roots[1]], home / "no", ["yolo-segment", "yolo-obb"])
    convert([home / "boxes", roots[1]], home / "out", ["yolo-detect", "yolo-obb"])
    assert verify(home / "out").passed


def test_a_root_without_labels_is_named(roots: list[Path]) -> None:
    home = roots[0].parent
    save_png(home / "photos/000.png", BLOCK * 255)
    with pytest.raises(ToolkitError, match="photos: none of its 1 images carries a label"):
        convert([roots[0], home / "photos"], home / "no", "coco")


def test_images_of_merged_roots_travel_to_other_processes(roots: list[Path]) -> None:
    for member in open_sources([roots[0], roots[2]]).members:
        sent = pickle.loads(pickle.dumps(member))  # noqa: S301
        assert sent.read(Settings(("dent", "scratch"))).image.key == sent.sample.key == member.sample.key


def test_an_image_of_two_roots_is_said_and_keeps_to_one_subset(roots: list[Path]) -> None:
    one, _, three = roots
    shutil.copy(one / "bolt/test/dent/000.png", three / "bolt/train/good/000.png")
    report = convert([one, three], one.parent / "out", "coco", images="none")
    shown = "one/bolt/test/dent/000 and three/bolt/train/good/000"
    said = [note for note in report.notes if "several roots, byte for byte" in note]
    assert len(said) == 1
    assert shown in said[0]
    assert "lie in several subsets" in said[0]
    split = split_dataset(open_sources([one, three]).dataset, "kfold", folds=2)
    assert split["one/bolt/test/dent/000"] == split["three/bolt/train/good/000"]


def test_classes_of_nearly_one_name_are_kept_apart_and_told(tmp_path: Path) -> None:
    make_dataset(tmp_path / "one", {"Dent deep": [RING]}, category="bolt")
    make_dataset(tmp_path / "two", {"dent_deep": [COMB]}, category="nut")
    report = convert([tmp_path / "one", tmp_path / "two"], tmp_path / "out", "coco", images="none")
    assert report.manifests["coco"]["classes"] == ["Dent deep", "dent_deep"]
    assert any("--rename dent_deep=Dent deep makes them one" in note for note in report.notes)
    roots, renamed = [tmp_path / "one", tmp_path / "two"], {"dent_deep": "Dent deep"}
    made = convert(roots, tmp_path / "renamed", "coco", images="none", rename=renamed)
    assert not any("kept apart" in note for note in made.notes)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["one", "one"], "is named twice"),
        (["one", "one/../one"], "is named twice"),
        (["one", "one/bolt"], "lies in .*which is named too"),
        (["one/bolt", "one"], "lies in .*which is named too"),
        (["one", "nowhere"], "no such folder"),
        ([], "no root is named"),
    ],
)
def test_roots_that_cannot_be_merged(roots: list[Path], given: list[str], problem: str) -> None:
    home = roots[0].parent
    with pytest.raises(ToolkitError, match=problem):
        convert([home / name for name in given], home / "out", "coco")
    assert not (home / "out").exists()


def test_out_lies_apart_from_every_root(roots: list[Path]) -> None:
    with pytest.raises(ToolkitError, match="lies inside the input"):
        convert(roots[:2], roots[1] / "out", "coco")


def test_categories_are_taken_from_the_roots_that_have_them(roots: list[Path]) -> None:
    home = roots[0].parent
    report = convert(open_sources(roots).only(["bolt"]), home / "out", "coco", images="none")
    assert report.manifests["coco"]["sources"] == ["../one", "../three"]
    assert verify(home / "out").passed
    alone = defectkit("convert", *roots, home / "alone", "--to", "coco", "--category", "nut", "--json").json()
    assert alone["formats"]["coco"]["source"] == "../two"
    told = defectkit("convert", *roots, home / "no", "--to", "coco", "--category", "screw")
    assert told.status == 2
    assert "has no category 'screw'; it has: bolt, nut" in told.err


def test_one_layout_is_that_of_all_roots(tmp_path: Path) -> None:
    for name, mask in (("north", RING), ("south", COMB)):
        data = make_dataset(tmp_path / "source", {"dent": [mask]}, good=0)
        for part, file in (("photos", data[0].image), ("marks", data[0].masks[0].path)):
            (tmp_path / name / part).mkdir(parents=True)
            shutil.copy(file, tmp_path / name / part / "000.png")
    how = ["--image", "photos/{name}.png", "--mask", "marks/{name}.png", "--values", "nonzero"]
    roots = [tmp_path / "north", tmp_path / "south"]
    told = defectkit("convert", *roots, tmp_path / "out", "--to", "coco", "--json", *how)
    assert told.status == 0, told.err
    manifest = told.json()["formats"]["coco"]
    assert len(manifest["layouts"]) == 2
    assert manifest["prefixes"] == ["north", "south"]
    assert verify(tmp_path / "out").passed
    assert [area for found in areas(tmp_path / "out").values() for _, area in found] == [RING.sum(), COMB.sum()]


def test_what_is_told_of_labels_holds_of_every_root_that_heeds_it(roots: list[Path]) -> None:
    one, two, three = roots
    home = one.parent
    for root, kind in ((one, "voc"), (two, "coco")):
        convert(root, home / "trees", kind, images="copy", resume=True)
        (home / "trees" / kind / "manifest.json").unlink()
    given = [home / "trees/voc", home / "trees/coco", three]
    told = defectkit("convert", *given, home / "out", "--to", "yolo-detect", "--voc-boxes", "inclusive1", "--json")
    assert told.status == 0, told.err
    notes = [note for note in told.json()["notes"] if "of which --voc-boxes says nothing" in note]
    assert [note.split(":")[0] for note in notes] == [str(given[1]), str(three)]
    assert told.json()["formats"]["yolo-detect"]["layouts"][0] == {"labels": {"voc_boxes": "inclusive1"}}
    assert verify(home / "out").passed
    refused = defectkit("convert", *given[1:], home / "no", "--to", "yolo-detect", "--voc-boxes", "inclusive1")
    assert refused.status == 2
    assert "error: --voc-boxes: says nothing of any of these roots; leave it out" in refused.err


def test_splits_are_of_the_keys_of_all_roots(roots: list[Path]) -> None:
    home = roots[0].parent
    numbers = ["--strategy", "uniform", "--per-class", "2", "--test-per-class", "1"]
    assert defectkit("split", roots[0], roots[2], home / "split.csv", *numbers).status == 0
    formats = {}
    for name, how in (("file", ["--split", home / "split.csv"]), ("drawn", numbers)):
        told = defectkit("convert", roots[0], roots[2], home / name, "--to", "coco", "--json", *how)
        assert told.status == 0, told.err
        formats[name] = told.json()["formats"]["coco"]
    assert formats["file"]["labels_sha256"] == formats["drawn"]["labels_sha256"]
    assert formats["file"]["subsets"]["test"]["images"] == 3


def test_what_is_interrupted_or_grows_goes_on(roots: list[Path]) -> None:
    one, _, three = roots
    out = one.parent / "out"
    first = convert([one, three], out, "coco", images="none")
    again = convert([one, three], out, ["coco", "masks"], images="none", resume=True)
    assert again.manifests["coco"] == first.manifests["coco"]
    make_dataset(three, {"burr": [COMB]}, good=0, category="bolt")
    grown = convert([one, three], out, ["coco", "masks"], images="none", resume=True)
    assert "coco: 1 image(s) added to 12" in grown.notes
    assert grown.manifests["coco"]["classes"] == ["dent", "scratch", "burr"]
    with pytest.raises(ToolkitError, match="made from other files or settings"):
        convert([three, one], out, "coco", images="none", resume=True)


def test_the_gallery_shows_what_differs_from_each_root(roots: list[Path]) -> None:
    one, _, three = roots
    home = one.parent
    convert([one, three], home / "out", "coco")
    report, views = view(home / "out", home / "gallery")
    assert report.min_iou == 1
    assert views.page.words.compared == "one and three"
    save_png(three / "bolt/ground_truth/dent/000_mask.png", np.roll(BLOCK, 2, axis=0) * 255)
    least = view(home / "out", home / "other")[0].min_iou
    assert least is not None
    assert least < 1
    assert diff(open_sources([one, three]), home / "out").labels[0].key == "three/bolt/test/dent/000"


def test_links_into_each_root_are_followed_and_no_others(roots: list[Path]) -> None:
    one, _, three = roots
    home = one.parent
    convert([one, three], home / "out", "coco", images="symlink")
    assert len(list(read_labels(home / "out"))) == 12
    path = home / "out/coco/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sources": ["../one", "../one"]}))
    with pytest.raises(LinkError):
        read_labels(home / "out")


def test_a_prefix_makes_no_place_of_the_mvtec_layout(tmp_path: Path) -> None:
    for name, mask in (("north", RING), ("south", COMB)):
        data = make_dataset(tmp_path / "source", {"dent": [mask]}, good=0)
        tree = tmp_path / name
        convert(data, tree / "made", "coco", images="none", split={data[0].key: "train"})
        document = json.loads((tree / "made/coco/annotations/instances_train.json").read_text())
        pictures = []
        for number, camera in enumerate(("cam1", "cam2"), 1):
            target = tree / "tree/images/train" / camera / "000.png"
            target.parent.mkdir(parents=True)
            shutil.copy(data[0].image, target)
            pictures.append({**document["images"][0], "id": number, "file_name": f"{camera}/000.png"})
        document["images"] = pictures
        (tree / "tree/annotations").mkdir()
        (tree / "tree/annotations/instances_train.json").write_text(json.dumps(document))
    roots = [tmp_path / "north/tree", tmp_path / "south/tree"]
    report = convert(roots, tmp_path / "out", "masks")
    assert report.manifests["masks"]["prefixes"] == ["north", "south"]
    folders = {path.parent.name for path in (tmp_path / "out/masks").rglob("*_mask.png")}
    assert folders == {"dent"}
    assert verify(tmp_path / "out").passed
