"""Classes under other names, some of them, images that show something: what is left out is counted, and proven."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import FORMATS, convert, diff, read_labels, verify, view
from converters.formats.registry import read_manifest
from tests.commands import defectkit
from tests.converters.boxed import BOX, MASK, boxed_tree, classified_tree
from tests.converters.support import make_dataset, save_png
from toolkit import Dataset, ToolkitError, load_dataset

SIZE = (24, 24)


def blocks(*sides: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Squares of these sides that do not touch."""
    mask = np.zeros(SIZE, np.bool_)
    for place, side in enumerate(sides):
        x = 8 * place
        mask[2 : 2 + side, x : x + side] = True
    return mask


MASKS = {"dent": [blocks(2), blocks(5, 2)], "scratch": [blocks(3)], "rust": [blocks(4), blocks(4, 6)]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("selection") / "data", MASKS, good=1)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A class map tree: image 0 shows dent and rust, 1 rust, 2 nothing, 3 dent."""
    root = tmp_path / "mixed"
    for number, values in enumerate(((1, 2), (2,), (), (1,))):
        ids = np.zeros(SIZE, np.uint8)
        for value in values:
            ids[2:6, 8 * value : 8 * value + 3 + value] = value
        save_png(root / f"masks/train/{number}.png", ids)
        save_png(root / f"images/train/{number}.png", np.random.default_rng(number).integers(0, 256, SIZE))
    (root / "data.yaml").write_text("train: images/train\nmasks_dir: masks\nnames: {0: background, 1: dent, 2: rust}\n")
    return root


def manifest_of(tree: Path) -> dict[str, Any]:
    manifest = read_manifest(tree)
    assert manifest is not None
    return manifest


def labels(tree: Path) -> dict[str, list[str]]:
    return {image.key: [one.label for one in image.instances] for image in read_labels(tree)}


def check_exact(out: Path) -> None:
    proof = verify(out)
    assert proof.passed, proof.failures
    assert not [note for note in proof.notes if "not in this tree" in note]


def test_what_is_not_told_leaves_no_trace(dataset: Dataset, tmp_path: Path) -> None:
    plain = convert(dataset, tmp_path / "plain", FORMATS, images="none")
    told = convert(dataset, tmp_path / "told", FORMATS, images="none", rename={}, only=[], drop_empty=False)
    for name, manifest in plain.manifests.items():
        assert manifest == told.manifests[name]
        assert not {"rename", "only", "drop_empty", "max_area", "panoptic_layout"} & set(manifest["options"])
        assert "left_out" not in manifest


@pytest.mark.parametrize("scheme", ["defect", "category-defect"])
def test_renamed_classes_are_written_in_every_format_and_proven(dataset: Dataset, tmp_path: Path, scheme: Any) -> None:
    before = "part-" if scheme == "category-defect" else ""
    rename = {f"{before}dent": "pit", f"{before}rust": "pit"}
    report = convert(dataset, tmp_path / "out", FORMATS, classes=scheme, rename=rename)
    for name, manifest in report.manifests.items():
        assert manifest["classes"] == ["pit", f"{before}scratch"], name
        assert manifest["options"]["rename"] == rename
    assert f"'{before}dent' and '{before}rust' are one class now: 'pit'" in report.notes
    check_exact(tmp_path / "out")
    assert labels(tmp_path / "out/yolo-segment")["part/test/rust/000"] == ["pit"]
    with (tmp_path / "out/yolo-classify/labels.csv").open() as table:
        rows = {row["name"]: row["class"] for row in csv.DictReader(table)}
    assert rows["part__test__dent__001.png"] == "pit"
    assert rows["part__test__good__000.png"] == ("good" if not before else "part-good")
    masks = {image.key: image.image_label for image in read_labels(tmp_path / "out/masks")}
    assert masks["part/test/pit/part__test__rust__001"] == "pit"


def test_classes_may_change_their_names_with_each_other(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "out", ["coco", "masks"], rename={"dent": "rust", "rust": "dent"})
    check_exact(tmp_path / "out")
    assert labels(tmp_path / "out/coco")["part/test/rust/000"] == ["dent"]


def test_an_image_that_shows_other_classes_alone_is_left_out_and_is_not_good(dataset: Dataset, tmp_path: Path) -> None:
    report = convert(dataset, tmp_path / "out", FORMATS, only=["rust"], images="none")
    for name, manifest in report.manifests.items():
        assert manifest["classes"] == ["rust"], name
        assert [one["key"] for one in manifest["left_out"]] == [
            "part/test/dent/000",
            "part/test/dent/001",
            "part/test/scratch/000",
        ]
        assert {one["reason"] for one in manifest["left_out"]} == {"none of its objects is asked for"}
        components = manifest["components"]
        assert components["found"] == components["written"] + len(components["skipped"])
    assert report.manifests["coco"]["components"]["found"] == 7
    assert report.manifests["coco"]["components"]["written"] == 3
    assert report.manifests["coco"]["subsets"]["test"] == {"images": 3, "instances": 3, "background": 1}
    said = "4 object(s) of classes that --only does not name are left out: 3 dent, 1 scratch"
    assert said in report.notes
    assert "3 image(s) are left out: none of its objects is asked for" in report.notes
    check_exact(tmp_path / "out")


def test_an_image_of_several_classes_keeps_what_is_asked_for(mixed: Path, tmp_path: Path) -> None:
    report = convert(mixed, tmp_path / "out", FORMATS, only=["dent"])
    assert labels(tmp_path / "out/coco") == {"0": ["dent"], "2": [], "3": ["dent"]}
    assert [one["key"] for one in report.manifests["coco"]["left_out"]] == ["1"]
    classes = {image.key: image.image_label for image in read_labels(tmp_path / "out/yolo-classify")}
    assert classes == {"0": "dent", "2": "good", "3": "dent"}
    check_exact(tmp_path / "out")


def test_the_names_of_only_are_the_new_ones(mixed: Path, tmp_path: Path) -> None:
    convert(mixed, tmp_path / "out", ["coco", "semantic"], rename={"rust": "dent", "dent": "pit"}, only="dent")
    assert labels(tmp_path / "out/coco") == {"0": ["dent"], "1": ["dent"], "2": []}
    check_exact(tmp_path / "out")
    with pytest.raises(ToolkitError, match="no class is called 'rust'; there are: pit, dent"):
        convert(mixed, tmp_path / "no", "coco", rename={"rust": "dent", "dent": "pit"}, only="rust")


@pytest.mark.parametrize("instances", ["components", "image", "merge:6"])
def test_components_that_are_left_out_are_counted_one_by_one(tmp_path: Path, instances: str) -> None:
    dataset = make_dataset(tmp_path / "data", {"dent": [blocks(2, 3, 4)], "rust": [blocks(2, 3, 6)]}, good=0)
    report = convert(dataset, tmp_path / "out", "coco", only=["rust"], max_area=9, instances=instances)
    components = report.manifests["coco"]["components"]
    assert (components["found"], components["written"], len(components["skipped"])) == (6, 2, 4)
    assert sorted(one["area"] for one in components["skipped"]) == [4, 9, 16, 36]
    image = next(iter(read_labels(tmp_path / "out")))
    assert sum(one.area for one in image.instances) == 4 + 9
    assert len(image.instances) == (2 if instances == "components" else 1)
    check_exact(tmp_path / "out")


def test_images_without_objects_are_left_out_and_counted(dataset: Dataset, tmp_path: Path) -> None:
    report = convert(dataset, tmp_path / "out", FORMATS, drop_empty=True, min_area=5, images="copy")
    for name, manifest in report.manifests.items():
        told = {one["key"]: one["reason"] for one in manifest["left_out"]}
        assert set(told) == {"part/train/good/000", "part/test/good/000", "part/test/dent/000"}, name
        assert set(told.values()) == {"shows no object"}
        assert sum(counts["background"] for counts in manifest["subsets"].values()) == 0
    assert "3 image(s) are left out: shows no object" in report.notes
    check_exact(tmp_path / "out")


def test_an_image_whose_objects_are_all_too_large_is_not_good(dataset: Dataset, tmp_path: Path) -> None:
    report = convert(dataset, tmp_path / "out", FORMATS, max_area=15)
    manifest = report.manifests["coco"]
    assert [one["key"] for one in manifest["left_out"]] == ["part/test/rust/000", "part/test/rust/001"]
    large = [one for one in manifest["components"]["skipped"] if one["reason"] == "larger than --max-area"]
    assert sorted(one["area"] for one in large) == [16, 16, 25, 36]
    check_exact(tmp_path / "out")
    said = "converted with --max-area 15: larger components show as lost"
    report, views = view(tmp_path / "out/coco", tmp_path / "gallery")
    assert views.page.words.notes == (said,)
    assert report.min_iou == pytest.approx(4 / 29)  # of part/test/dent/001


def test_boxes_and_classes_of_images_are_chosen_too(tmp_path: Path) -> None:
    boxed_tree(tmp_path / "boxed", [[BOX], [MASK], [BOX, MASK], []])
    small = convert(tmp_path / "boxed", tmp_path / "small", ["yolo-detect", "coco"], max_area=70)
    assert [one["key"] for one in small.manifests["coco"]["left_out"]] == ["0"]
    assert labels(tmp_path / "small/coco") == {"1": ["dent"], "2": ["dent"], "3": []}
    check_exact(tmp_path / "small")
    classified_tree(tmp_path / "classified")
    given = tmp_path / "classified"
    rust = convert(given, tmp_path / "rust", "yolo-classify", only=["corrosion"], rename={"rust": "corrosion"})
    assert len(rust.manifests["yolo-classify"]["left_out"]) == 2
    assert [image.image_label for image in read_labels(tmp_path / "rust")] == ["corrosion"]
    check_exact(tmp_path / "rust")


def test_good_images_of_a_product_go_with_its_class(tmp_path: Path) -> None:
    for product in ("bolt", "nut"):
        make_dataset(tmp_path / "data", {"dent": [blocks(3)]}, good=1, category=product)
    dataset = load_dataset(tmp_path / "data")
    convert(dataset, tmp_path / "out", ["yolo-classify", "coco"], classes="category", only=["nut"])
    assert {image.image_label for image in read_labels(tmp_path / "out/yolo-classify")} == {"nut"}
    check_exact(tmp_path / "out")


def test_what_was_left_out_wrongly_fails(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "out", ["coco", "semantic"], only=["rust"], images="none")
    path = tmp_path / "out/coco/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["options"]["only"] = ["rust", "dent"]
    path.write_text(json.dumps(manifest))
    failures = verify(tmp_path / "out").failures
    assert any("part/test/dent/000: was left out, and shows what was asked for" in line for line in failures)


def test_a_wrong_class_fails_though_it_was_renamed(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "out", "coco", rename={"dent": "pit"}, images="none")
    path = tmp_path / "out/coco/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["options"]["rename"] = {"scratch": "pit"}
    path.write_text(json.dumps(manifest))
    assert not verify(tmp_path / "out")


def test_diff_sees_what_was_asked_for(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "out", "coco", rename={"dent": "pit"}, only=["pit"])
    report = diff(dataset, tmp_path / "out")
    assert (report.classes_came, report.classes_went) == (("pit",), ("dent", "rust", "scratch"))
    assert len(report.went) == 3
    assert report.notes == (f"{tmp_path / 'out/coco'} was converted with --rename dent=pit --only pit",)


def test_what_is_interrupted_or_grows_keeps_what_was_asked_for(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", MASKS, good=1)
    asked: dict[str, Any] = {"only": ["rust"], "drop_empty": True, "images": "none"}
    convert(dataset, tmp_path / "out", "coco", **asked)
    make_dataset(tmp_path / "data", {"rust": {"new": blocks(2)}, "dent": {"new": blocks(3)}}, good=0)
    grown = convert(tmp_path / "data", tmp_path / "out", ["coco", "yolo-segment"], resume=True, **asked)
    assert "coco: 2 image(s) added to 7" in grown.notes
    anew = convert(tmp_path / "data", tmp_path / "anew", ["coco", "yolo-segment"], **asked)
    assert {one["labels_sha256"] for one in grown.manifests.values()} == {
        one["labels_sha256"] for one in anew.manifests.values()
    }
    with pytest.raises(ToolkitError, match="made from other files or settings"):
        convert(tmp_path / "data", tmp_path / "out", "coco", resume=True, images="none")
    check_exact(tmp_path / "out")


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"rename": {"dint": "pit"}}, "no class is called 'dint'; there are: dent, rust, scratch"),
        ({"only": ["dint"]}, "no class is called 'dint'; there are: dent, rust, scratch"),
        ({"rename": {"dent": " "}}, "which nobody can read"),
        ({"rename": {"dent": "OK"}}, "which means images without a defect"),
        ({"max_area": 0}, "max_area: 0 keeps nothing"),
        ({"max_area": 3, "min_area": 4}, "3 keeps nothing, and less than the 4 of min_area"),
        (
            {"max_area": 3, "drop_empty": True},
            "max_area: nothing is asked for .* 7 images; give max_area more",
        ),
        ({"panoptic_layout": "wide"}, "'wide' is unknown; use one of flat, coco"),
    ],
)
def test_what_means_nothing_is_refused(dataset: Dataset, tmp_path: Path, asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(ToolkitError, match=problem):
        convert(dataset, tmp_path / "out", "coco", **asked)
    assert not (tmp_path / "out").exists()


def test_of_labels_whole_objects_are_too_large(tmp_path: Path) -> None:
    boxed_tree(tmp_path / "boxed", [[BOX], [MASK], []])
    report = convert(tmp_path / "boxed", tmp_path / "out", "coco", max_area=20)
    assert any("2 object(s) larger than --max-area 20 are left out" in note for note in report.notes)


def test_flags_say_the_same(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", {"a=b": [blocks(2)], "dent": [blocks(3)], "rust": [blocks(6)]}, good=1)
    flags = ["--rename", "a=b=pit", "--rename", "dent=x=y", "--only", "pit", "--only", "x=y", "--drop-empty"]
    told = defectkit(
        "convert", tmp_path / "data", tmp_path / "flags", "--to", "coco", "--max-area", "8", *flags, "--json"
    )
    assert told.status == 0, told.err
    asked: dict[str, Any] = {"rename": {"a=b": "pit", "dent": "x=y"}, "only": ["pit", "x=y"], "drop_empty": True}
    report = convert(dataset, tmp_path / "python", "coco", **asked, max_area=8)
    assert told.json()["formats"]["coco"]["labels_sha256"] == report.manifests["coco"]["labels_sha256"]
    assert told.json()["formats"]["coco"]["classes"] == ["pit", "x=y"]
    assert defectkit("verify", tmp_path / "flags").status == 0
    for wrong, problem in (
        (["--rename", "dent"], "'dent' has no '='; write it as OLD=NEW"),
        (["--rename", "dent=a", "--rename", "dent=b"], "gives 'dent' two names, 'a' and 'b'; give it one"),
        (["--only", "bolt"], "no class is called 'bolt'; there are: a=b, dent, rust"),
    ):
        refused = defectkit("convert", tmp_path / "data", tmp_path / "no", "--to", "coco", *wrong)
        assert refused.status == 2
        assert problem in refused.errors[0]
