"""Conversion as a whole: nothing is lost in silence, and the same input gives the same bytes however it is run."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from converters import FORMATS, convert, read_labels, verify, write_labels
from tests.converters.support import Bools, coco_document, label_mask, make_dataset, parts_of, relabel, save_png
from tests.masks import SHAPES
from toolkit import Dataset, ToolkitError, load_dataset
from toolkit.dataset.keys import file_name, key_of_file_name
from toolkit.dataset.splits import Split
from toolkit.errors import BadInputError
from toolkit.geometry.labels import Instance, LabelledImage

LABELS = {"dent": [SHAPES["ring"], SHAPES["comb"]], "scratch": [SHAPES["border contact"], SHAPES["checkerboard"]]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("pipeline") / "dataset", LABELS)


def label_files(out: Path) -> dict[str, str]:
    """Path -> SHA-256 of everything but images."""
    found = (path for path in sorted(out.rglob("*")) if path.is_file() and "/images/" not in path.as_posix())
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def hashes(report: Any) -> dict[str, str]:
    return {name: manifest["labels_sha256"] for name, manifest in report.manifests.items()}


def instances(tree: Path) -> dict[str, list[int]]:
    """Key -> areas of the instances."""
    return {image.key: [instance.area for instance in image.instances] for image in read_labels(tree)}


def test_a_text_is_one_format(dataset: Dataset, tmp_path: Path) -> None:
    assert list(convert(dataset, tmp_path / "out", "coco", images="none").manifests) == ["coco"]
    images = list(read_labels(tmp_path / "out"))
    written = write_labels(images, tmp_path / "again", "masks", classes=dataset.classes(), image_mode="none")
    assert list(written) == ["masks"]


@pytest.mark.parametrize("least", [0, 2, 5, 100])
def test_components_found_are_those_written_and_those_skipped(dataset: Dataset, tmp_path: Path, least: int) -> None:
    report = convert(dataset, tmp_path / "out", ["coco", "yolo-segment", "semantic"], min_area=least, images="none")
    found = sum(parts_of(mask) for masks in LABELS.values() for mask in masks)
    for name, manifest in report.manifests.items():
        components = manifest["components"]
        assert components["found"] == found
        assert components["found"] == components["written"] + len(components["skipped"])
        assert all(s["area"] < least and s["reason"] == "smaller than --min-area" for s in components["skipped"])
        assert sum(len(areas) for areas in instances(tmp_path / "out" / name).values()) == components["written"]
        assert json.loads((tmp_path / "out" / name / "manifest.json").read_text()) == manifest
    areas = [area for found in instances(tmp_path / "out/coco").values() for area in found]
    assert all(area >= least for area in areas)


def test_the_manifest_counts_each_subset(trees: Path, product: Dataset, product_split: Split) -> None:
    for kind in ("coco", "yolo-segment", "panoptic"):
        manifest = json.loads((trees / kind / "manifest.json").read_text())
        tree = read_labels(trees / kind)
        assert set(manifest["subsets"]) == {"train", "val", "test"}
        for subset, counts in manifest["subsets"].items():
            images = [image for image in tree if image.subset == subset]
            assert counts == {
                "images": len([key for key in product_split if product_split[key] == subset]),
                "instances": sum(len(image.instances) for image in images),
                "background": sum(not image.instances for image in images),
            }
        assert manifest["classes"] == product.classes()
        assert manifest["fidelity"] == {"mean_iou": 1.0, "min_iou": 1.0, "exact": 28, "images": 28}


TWO_PAIRS = np.zeros((20, 40), np.bool_)
TWO_PAIRS[5, [3, 7, 20, 26]] = True  # 3, 12 and 5 pixels between them


@pytest.mark.parametrize(
    ("grouping", "expected"),
    [
        ("components", [1, 1, 1, 1]),
        ("merge:0", [1, 1, 1, 1]),
        ("merge:2", [1, 1, 1, 1]),
        ("merge:3", [2, 1, 1]),
        ("merge:4", [2, 1, 1]),
        ("merge:5", [2, 2]),
        ("merge:11", [2, 2]),
        ("merge:12", [4]),
        ("image", [4]),
    ],
)
def test_grouping_makes_instances_of_components(tmp_path: Path, grouping: str, expected: list[int]) -> None:
    dataset = make_dataset(tmp_path / "dataset", {"dent": [TWO_PAIRS]}, good=0)
    report = convert(dataset, tmp_path / "out", ["coco", "yolo-segment"], instances=grouping, images="none")
    assert instances(tmp_path / "out/coco") == {"part/test/dent/000": expected}
    assert report.manifests["coco"]["subsets"]["test"]["instances"] == len(expected)
    assert report.manifests["yolo-segment"]["subsets"]["test"]["instances"] == 4  # a row for each part
    assert report.manifests["coco"]["components"]["found"] == 4
    assert report.manifests["coco"]["options"]["instances"] == grouping
    assert "bridge_pixels" not in report.manifests["yolo-segment"]


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_gaps_are_counted_along_diagonals_too(tmp_path: Path, gap: int) -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[4, 4] = mask[6 + gap, 6 + gap] = True
    dataset = make_dataset(tmp_path / "dataset", {"dent": [mask]}, good=0)
    for wanted, expected in ((gap, [1, 1]), (gap + 1, [2])):
        out = tmp_path / str(wanted)
        convert(dataset, out, ["coco"], instances=f"merge:{wanted}", images="none")
        assert instances(out / "coco") == {"part/test/dent/000": expected}


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "copy", "none"])
def test_images_get_into_the_trees_as_asked(dataset: Dataset, tmp_path: Path, mode: Any) -> None:
    report = convert(dataset, tmp_path / "out", FORMATS, images=mode)
    assert report.notes == tuple(note for note in report.notes if "copied" not in note)
    for sample in dataset:
        image = tmp_path / "out/coco/images" / sample.split / f"{file_name(sample.key)}.png"
        assert image.exists() == (mode != "none")
        if mode == "none":
            continue
        assert image.read_bytes() == sample.image.read_bytes()
        assert image.is_symlink() == (mode == "symlink")
        assert image.samefile(sample.image) == (mode in ("hardlink", "symlink"))
    if mode == "none":
        beside = list((tmp_path / "out").glob("*/images/*/*"))
        assert {path.suffix for path in beside} == {".json"}  # LabelMe's files lie among the images


def test_links_to_images_are_linked_by_what_they_lead_to(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "first", ["coco"], images="symlink")
    convert(read_labels(tmp_path / "first/coco"), tmp_path / "second", ["yolo-detect"])
    images = list((tmp_path / "second/yolo-detect/images").rglob("*.png"))
    assert len(images) == len(dataset)
    assert not any(image.is_symlink() for image in images)


def test_neither_workers_nor_images_nor_a_second_time_change_the_labels(product: Dataset, tmp_path: Path) -> None:
    base = convert(product, tmp_path / "base", FORMATS, images="none")
    files = label_files(tmp_path / "base")
    more = convert(product, tmp_path / "workers", FORMATS, images="none", workers=2)
    assert hashes(more) == hashes(base)
    assert label_files(tmp_path / "workers") == files  # the manifests as well
    again = convert(product, tmp_path / "base", FORMATS, images="none", overwrite=True)
    assert hashes(again) == hashes(base)
    assert label_files(tmp_path / "base") == files
    for mode in ("hardlink", "symlink", "copy"):
        assert hashes(convert(product, tmp_path / mode, FORMATS, images=mode)) == hashes(base)
    alone = convert(product, tmp_path / "alone", ["coco"], images="none")
    assert hashes(alone)["coco"] == hashes(base)["coco"]


def test_the_hash_tells_labels_apart(dataset: Dataset, tmp_path: Path) -> None:
    ways: list[dict[str, Any]] = [{}, {"min_area": 5}, {"instances": "image"}, {"classes": "binary"}]
    found = [
        hashes(convert(dataset, tmp_path / str(number), ["coco", "yolo-segment"], images="none", **options))
        for number, options in enumerate(ways)
    ]
    assert len({one["coco"] for one in found}) == len(found)


def test_a_split_says_where_images_go_and_which_are_left_out(dataset: Dataset, tmp_path: Path) -> None:
    keys = [sample.key for sample in dataset]
    split = {keys[0]: "val", keys[1]: "train", keys[2]: "test"}
    convert(dataset, tmp_path / "out", ["coco", "yolo-segment"], split=split)
    for kind in ("coco", "yolo-segment"):
        assert {sample.key: sample.split for sample in read_labels(tmp_path / "out" / kind).samples} == split


@pytest.mark.parametrize(
    ("split", "words"),
    [({"nobody": "train"}, "names 'nobody', which is not in the dataset"), ({"": "dev"}, "unknown subset 'dev'")],
)
def test_a_split_that_does_not_fit_is_refused(
    dataset: Dataset, tmp_path: Path, split: dict[str, str], words: str
) -> None:
    with pytest.raises(ToolkitError, match=words):
        convert(dataset, tmp_path / "out", ["coco"], split=split)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("scheme", "names", "seen"),
    [
        ("defect", ["dent", "scratch"], {"dent", "scratch"}),
        ("binary", ["defect"], {"defect"}),
        ("category", ["part"], {"part"}),
        ("category-defect", ["part-dent", "part-scratch"], {"part-dent", "part-scratch"}),
    ],
)
def test_schemes_name_the_classes(
    dataset: Dataset, tmp_path: Path, scheme: Any, names: list[str], seen: set[str]
) -> None:
    convert(dataset, tmp_path / "out", ["coco", "yolo-segment", "semantic"], classes=scheme, images="none")
    for kind in ("coco", "yolo-segment", "semantic"):
        tree = read_labels(tmp_path / "out" / kind)
        assert tree.classes() == names
        assert {instance.label for image in tree for instance in image.instances} == seen


ODD = [
    "two words",
    "it's",
    'say "so"',
    "a: b",
    "- x",
    "#1",
    "Kratzer äöü 傷",
    "<script>alert(1)",
    "a__b",
    "_a_",
    "100%",
    "a,b",
]


def test_odd_names_come_out_right(tmp_path: Path) -> None:
    masks: dict[str, dict[str, Bools]] = {f"c {name}": {name: SHAPES["disk"]} for name in ODD}
    dataset = make_dataset(tmp_path / "data set", masks, good=1, category="pro: duct's")
    out, formats = tmp_path / "labels", [name for name in FORMATS if name != "voc"]  # which refuses colons
    convert(dataset, out, formats, images="none")
    assert dataset.classes() == sorted(masks)
    document = coco_document(out / "coco", "test")
    assert [category["name"] for category in document["categories"]] == sorted(masks)
    assert yaml.safe_load((out / "yolo-detect/data.yaml").read_text("utf-8"))["names"] == dict(enumerate(sorted(masks)))
    with open(out / "yolo-classify/labels.csv", encoding="utf-8", newline="") as file:
        rows = {key_of_file_name(row["name"].removesuffix(".png")): row["class"] for row in csv.DictReader(file)}
    assert rows == {sample.key: sample.defect for sample in dataset}
    for kind in formats:
        found = {(sample.key, sample.defect) for sample in read_labels(out / kind).samples}
        assert found == {(s.key, s.defect) for s in dataset if kind != "masks" or s.masks}
    report = verify(out, dataset)
    assert report.passed, report.failures


@pytest.mark.parametrize("kind", [name for name in FORMATS if name not in ("masks", "yolo-classify")])
def test_file_names_are_keys_and_can_be_turned_back(trees: Path, product: Dataset, kind: str) -> None:
    folder = "JPEGImages" if kind == "voc" else "images"
    names = [path.stem for path in (trees / kind / folder).rglob("*.png")]
    assert sorted(key_of_file_name(name) for name in names) == [sample.key for sample in product]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".TIF", ".webp"])
def test_images_of_any_kind_keep_theirs_in_lower_case(tmp_path: Path, suffix: str) -> None:
    make_dataset(tmp_path / "dataset", {"dent": [SHAPES["disk"]]}, good=0)
    picture = tmp_path / "dataset/part/test/dent/000.png"
    picture.unlink()
    save_png(picture.with_suffix(suffix), np.zeros((31, 31), np.uint8))
    convert(tmp_path / "dataset", tmp_path / "out", FORMATS)
    for kind in FORMATS:
        (image,) = read_labels(tmp_path / "out" / kind)
        assert image.path is not None
        assert image.path.suffix == suffix.lower()
    assert verify(tmp_path / "out").passed


@pytest.fixture
def faulty(tmp_path: Path) -> Dataset:
    """A mask of no pixel, an image cut short, a defect without a mask, a mask without an image."""
    make_dataset(tmp_path / "dataset", LABELS)
    home = tmp_path / "dataset/part"
    save_png(home / "ground_truth/dent/000_mask.png", np.zeros((31, 31)))
    image = home / "test/dent/001.png"
    image.write_bytes(image.read_bytes()[:40])
    (home / "ground_truth/scratch/000_mask.png").unlink()
    save_png(home / "ground_truth/scratch/777_mask.png", SHAPES["disk"] * 255)
    return load_dataset(tmp_path / "dataset")


FAULTS = {"dent/000_mask.png", "dent/001.png", "scratch/000.png", "scratch/777_mask.png"}


def test_faulty_files_are_all_named_and_nothing_is_written(faulty: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as raised:
        convert(faulty, tmp_path / "out", FORMATS)
    assert {"/".join(Path(problem.file).parts[-2:]) for problem in raised.value.problems} == FAULTS
    assert not (tmp_path / "out").exists()


def test_faulty_files_are_left_out_and_listed_if_asked(faulty: Dataset, tmp_path: Path) -> None:
    report = convert(faulty, tmp_path / "out", ["coco", "masks"], on_problem="skip")
    for manifest in report.manifests.values():
        listed = {"/".join(Path(problem["file"]).parts[-2:]) for problem in manifest["problems"]}
        assert listed == FAULTS
        assert not any(Path(problem["file"]).is_absolute() for problem in manifest["problems"])
    assert len(report.skipped) == len(FAULTS)
    keys = {image.key for image in read_labels(tmp_path / "out/coco")}
    assert {key for key in keys if "good" not in key} == {"part/test/scratch/001"}
    assert verify(tmp_path / "out", faulty).passed


def test_a_conversion_that_leaves_all_out_leaves_nothing(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "part/test/good").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"part/test/good/{number}.png").write_bytes(b"no image")
    with pytest.raises(BadInputError, match=r"not a readable image"):
        convert(tmp_path, tmp_path.parent / "out", "coco", on_problem="skip")
    assert not (tmp_path.parent / "out").exists()


def test_boxes_with_fractions_pass_their_own_proof(tmp_path: Path) -> None:
    instance = Instance.of_box("dent", (1.25, 2.5, 6.75, 7.4), (20, 10))
    assert instance is not None
    image = LabelledImage("a", None, 20, 10, (instance,), "train", "dent", "boxes")
    write_labels([image], tmp_path, ["coco", "yolo-detect"], classes=["dent"], image_mode="none")
    assert verify(tmp_path).passed
    for kind in ("coco", "yolo-detect"):
        (read,) = read_labels(tmp_path / kind)
        assert read.instances[0].mask is None
        assert np.allclose(read.instances[0].bbox, instance.bbox, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": "move"}, "images: 'move' is unknown; use one of hardlink, symlink, copy, none"),
        ({"segmentation": "bitmap"}, "segmentation: 'bitmap' is unknown"),
        ({"on_problem": "ignore"}, "on_problem: 'ignore' is unknown"),
        ({"min_iou": 0}, "min_iou: 0 is no IoU"),
        ({"min_iou": 1.5}, "min_iou: 1.5 is no IoU"),
        ({"min_area": -1}, "min_area: -1 is no area"),
        ({"threshold": 0}, "threshold: 0 is no grey value"),
        ({"instances": "some"}, "instances: 'some' is none of the ways"),
        ({"classes": "colour"}, "classes: unknown scheme 'colour'"),
        ({"formats": ["tfrecord"]}, "formats: unknown format 'tfrecord'"),
        ({"formats": []}, "formats: no format asked for"),
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(
    dataset: Dataset, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ToolkitError, match=words):
        convert(dataset, tmp_path / "out", **{"formats": ["coco"], **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [" ", "\x85", "\u2028 "])
def test_a_class_of_blanks_is_refused(tmp_path: Path, name: str) -> None:
    dataset = make_dataset(tmp_path / "data", {name: {"0": SHAPES["disk"]}})
    with pytest.raises(ToolkitError, match="has a name that nobody can read; rename the class"):
        convert(dataset, tmp_path / "out", ["coco"])
    assert not (tmp_path / "out").exists()


def test_an_output_that_holds_something_is_left_alone(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(ToolkitError, match="is not empty"):
        convert(dataset, tmp_path / "out", ["coco"])
    convert(dataset, tmp_path / "out", ["coco"], overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["coco", "mine.txt"]


def test_nothing_but_the_trees_is_left(trees: Path) -> None:
    assert sorted(path.name for path in trees.iterdir()) == sorted(FORMATS)
    assert not list(trees.rglob(".*"))


def test_a_run_that_is_done_is_not_done_again(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "out", ["coco"])
    written = (tmp_path / "out/coco/manifest.json").stat().st_mtime_ns
    report = convert(dataset, tmp_path / "out", ["coco", "yolo-detect"], resume=True)
    assert set(report.manifests) == {"coco", "yolo-detect"}
    assert (tmp_path / "out/coco/manifest.json").stat().st_mtime_ns == written
    with pytest.raises(ToolkitError, match="made from other files or settings"):
        convert(dataset, tmp_path / "out", ["coco"], resume=True, min_area=5)


def test_defects_without_train_images_come_with_advice(dataset: Dataset, tmp_path: Path) -> None:
    report = convert(dataset, tmp_path / "out", ["coco"])
    assert any("--strategy stratified" in note for note in report.notes)


def test_labels_in_memory_are_written_like_others(tmp_path: Path) -> None:
    picture = save_png(tmp_path / "picture.png", np.zeros((31, 31)))
    images = (label_mask(name, SHAPES["ring"], path=picture) for name in ("b/2", "a/1"))
    manifests = write_labels(images, tmp_path / "out", FORMATS, classes=["other", "defect"])
    assert set(manifests) == set(FORMATS)
    for kind in ("coco", "yolo-segment", "semantic", "panoptic"):
        tree = read_labels(tmp_path / "out" / kind)
        assert tree.classes() == ["other", "defect"]
        for image, name in zip(tree, ("a/1", "b/2"), strict=True):
            assert (image.key, image.subset, [i.label for i in image.instances]) == (name, "train", ["defect"])
            assert np.array_equal(image.instances[0].mask, label_mask("x", SHAPES["ring"]).instances[0].mask)
            assert image.path is not None


def test_progress_is_told(dataset: Dataset, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    convert(dataset, tmp_path / "out", ["coco"], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, len(dataset)) for number in range(1, len(dataset) + 1)]


@pytest.mark.parametrize("least", [0.9, 0.99])
def test_the_manifest_knows_the_iou_of_fewer_vertices(dataset: Dataset, tmp_path: Path, least: float) -> None:
    report = convert(dataset, tmp_path / "out", ["coco", "yolo-segment"], min_iou=least, images="none")
    measured = {tree.kind: tree for tree in verify(tmp_path / "out", dataset, min_iou=least).trees}
    for kind, manifest in report.manifests.items():
        assert least <= manifest["fidelity"]["min_iou"] <= 1
        assert manifest["fidelity"]["min_iou"] == pytest.approx(measured[kind].min_iou)  # type: ignore[index]
        assert manifest["fidelity"]["exact"] == measured[kind].exact  # type: ignore[index]


def test_two_images_never_share_a_file(tmp_path: Path) -> None:
    images = [label_mask(key, SHAPES["disk"]) for key in ("part/test/dent/train__1", "part/train/dent/1")]
    with pytest.raises(ToolkitError, match=r"part/train/dent/1: and part/test/dent/train__1 would both be part/"):
        write_labels(images, tmp_path / "out", ["masks"], classes=["defect"], image_mode="none")
    assert not (tmp_path / "out/masks").exists()


@pytest.mark.parametrize("kind", ["masks", "yolo-classify"])
def test_a_class_that_is_called_good_is_refused_before_its_images_are_read(tmp_path: Path, kind: str) -> None:
    labels = [label_mask("a", SHAPES["disk"], "OK"), label_mask("b", SHAPES["ring"], "dent")]
    write_labels(labels, tmp_path / "in", ["coco"], classes=["OK", "dent", "Normal"], image_mode="none")
    with pytest.raises(ToolkitError, match="a: shows the class 'OK'"):
        convert(tmp_path / "in/coco", tmp_path / "out", [kind], on_problem="skip")
    report = convert(tmp_path / "in/coco", tmp_path / "binary", [kind], classes="binary")
    told = "objects of the class 'OK' count as defects: --classes binary has no other class"
    assert told in report.notes
    write_labels(labels[1:], tmp_path / "dents", ["coco"], classes=["OK", "dent", "Normal"], image_mode="none")
    convert(tmp_path / "dents/coco", tmp_path / "out", [kind])  # a class that nothing shows does no harm


def test_objects_that_are_called_good_are_defects_where_there_is_one_class(tmp_path: Path) -> None:
    labels = [label_mask("a", SHAPES["disk"], "good"), label_mask("b", SHAPES["ring"], "bad")]
    write_labels(labels, tmp_path / "in", ["coco"], classes=["good", "bad"], image_mode="none")
    convert(tmp_path / "in/coco", tmp_path / "out", ["yolo-classify", "masks"], classes="binary")
    assert {sample.defect for sample in read_labels(tmp_path / "out/yolo-classify").samples} == {"defect"}
    assert all(image.instances for image in read_labels(tmp_path / "out/masks"))
    assert verify(tmp_path / "out", tmp_path / "in/coco").passed


@pytest.mark.parametrize("mode", ["hardlink", "copy", "symlink"])
def test_a_source_without_any_image_gives_trees_without_images(tmp_path: Path, mode: Any) -> None:
    kinds = ["yolo-segment", "yolo-detect", "yolo-obb", "coco", "semantic"]
    write_labels([label_mask("a", SHAPES["disk"])], tmp_path / "in", "coco", classes=["defect"], image_mode="none")
    (tmp_path / "in/coco/manifest.json").unlink()
    report = convert(tmp_path / "in/coco", tmp_path / "out", kinds, images=mode)
    assert "no image of the source is there: the trees are written as with --images none" in report.notes
    assert (tmp_path / "out/yolo-segment/images.csv").is_file()
    assert verify(tmp_path / "out").passed
    assert all(len(read_labels(tmp_path / "out" / kind)) == 1 for kind in kinds)
    again = convert(tmp_path / "in/coco", tmp_path / "out", kinds, images=mode, resume=True)
    assert hashes(again) == hashes(report)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("key", ["a\nb", "a\r\nb", "\r", "a\x0bb\x85c\u2028d"])
def test_line_ends_in_names_leave_the_hash_as_it_is(form: str, key: str, tmp_path: Path) -> None:
    images = [label_mask(name, SHAPES["disk"]) for name in (key, "b")]
    write_labels(images, tmp_path, [form], classes=["defect"], image_mode="none")
    assert [failure for failure in verify(tmp_path).failures if "labels_sha256" in failure] == []


def test_labels_in_memory_are_checked(tmp_path: Path) -> None:
    image = label_mask("a", SHAPES["disk"])
    faults = {
        "stands twice among the images": [image, image],
        "unknown subset 'trian'": [replace(image, subset="trian")],
        "shows 'dent', which is none of the classes": [relabel(image, ["dent"])],
    }
    for words, images in faults.items():
        with pytest.raises(ToolkitError, match=words):
            write_labels(images, tmp_path / "out", ["coco"], classes=["defect"], image_mode="none")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", FORMATS)
def test_labels_without_a_subset_are_of_train(form: str, tmp_path: Path) -> None:
    image = replace(label_mask("a", SHAPES["disk"]), subset="")
    manifest = write_labels([image], tmp_path, [form], classes=["defect"], image_mode="none")[form]
    assert (list(manifest["subsets"]), len(read_labels(tmp_path))) == (["train"], 1)


def test_a_class_called_good_is_refused_where_folders_would_hide_it(tmp_path: Path) -> None:
    image = relabel(label_mask("a", SHAPES["disk"]), ["good"])
    with pytest.raises(ToolkitError, match="a folder of that name means images without a defect"):
        write_labels([replace(image, image_label="good")], tmp_path, ["masks"], classes=["good"], image_mode="none")
