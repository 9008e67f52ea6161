"""The proof: what is right passes, and every kind of damage is found and laid to its image."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import supervision
from supervision.dataset.formats.yolo import detections_to_yolo_annotations

from converters import FORMATS, VerifyReport, convert, read_labels, verify, write_labels
from tests.converters.support import (
    Bools,
    coco_document,
    coco_masks,
    fill_rows,
    iou,
    label_mask,
    make_dataset,
    save_png,
    tree_copy,
)
from tests.masks import SHAPES
from toolkit import Dataset, ToolkitError, load_dataset
from toolkit.dataset.keys import file_name
from toolkit.imaging.masks import read_mask

KEY = "part/test/scratch/001"
NAME = file_name(KEY)
MASKS: dict[str, list[Bools]] = {
    "dent": [SHAPES["ring"], SHAPES["comb"]],
    "scratch": [SHAPES["disk"], SHAPES["border contact"], SHAPES["blob with 23 holes"]],
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("source") / "dataset", MASKS, good=1)


@pytest.fixture(scope="module")
def labels(source: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels") / "out"
    convert(source, out, FORMATS, images="copy")
    return out


@pytest.mark.parametrize("kind", FORMATS)
def test_what_convert_wrote_passes(labels: Path, source: Dataset, kind: str) -> None:
    report = verify(labels / kind, source)
    iou = None if kind in ("yolo-detect", "yolo-obb", "yolo-classify") else 1.0  # these have no pixels
    assert (report.failures, report.notes, report.min_iou) == ((), (), iou)
    (tree,) = report.trees
    assert (tree.min_iou, tree.mean_iou, tree.worst) == (iou, iou, ())
    assert (tree.kind, tree.images) == (kind, len(source))
    assert tree.exact == tree.compared == (len(source) if kind == "yolo-classify" else 5)


def test_all_trees_of_a_folder_are_checked_at_once(labels: Path, source: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    report = verify(labels, source, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert report
    assert report.passed
    assert sorted(tree.kind for tree in report.trees) == sorted(FORMATS)
    assert seen == [(number, len(source)) for number in range(1, len(source) + 1)]


def test_every_format_of_the_product_passes(trees: Path, product: Dataset) -> None:
    report = verify(trees, product)
    assert report.passed, report.failures
    assert {tree.images for tree in report.trees} == {len(product)}


@pytest.mark.parametrize(
    "options",
    [
        {"instances": "image"},
        {"instances": "merge:3"},
        {"instances": "image", "segmentation": "rle"},
        {"min_area": 5},
        {"classes": "binary"},
        {"classes": "category-defect"},
        {"images": "none"},
        {"threshold": 128},
        {"workers": 2},
    ],
    ids=str,
)
def test_the_manifest_says_how_to_check(source: Dataset, tmp_path: Path, options: dict[str, Any]) -> None:
    convert(source, tmp_path / "out", FORMATS, **options)
    report = verify(tmp_path / "out", source)
    assert report.passed, report.failures


def test_real_labels_pass(real_trees: Path, real_defects: Dataset) -> None:
    report = verify(real_trees, real_defects, workers=2)
    assert report.passed, report.failures
    assert [(tree.exact, tree.compared) for tree in report.trees] == [(len(real_defects),) * 2] * 2


def edit_rows(change: Callable[[list[list[str]]], object]) -> Callable[[Path], None]:
    """A change to the rows of the image's label file."""

    def damage(tree: Path) -> None:
        path = tree / "labels" / "test" / f"{NAME}.txt"
        rows = [line.split() for line in path.read_text().splitlines()]
        change(rows)
        path.write_text("".join(" ".join(row) + "\n" for row in rows))

    return damage


def edit_coco(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Callable[[Path], None]:
    """A change to the COCO document, given the document and the image's first annotation."""

    def damage(tree: Path) -> None:
        document = coco_document(tree, "test")
        (record,) = (r for r in document["images"] if Path(r["file_name"]).stem == NAME)
        change(document, next(a for a in document["annotations"] if a["image_id"] == record["id"]))
        (tree / "annotations/instances_test.json").write_text(json.dumps(document))

    return damage


def remove_image(document: dict[str, Any], annotation: dict[str, Any]) -> None:
    gone = annotation["image_id"]
    document["images"] = [r for r in document["images"] if r["id"] != gone]
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] != gone]


def flip_pixel(pattern: str) -> Callable[[Path], None]:
    """Background where a pixel of the image's label was marked."""

    def damage(tree: Path) -> None:
        (path,) = tree.glob(pattern)
        pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)).copy()
        row, column = np.argwhere(pixels.reshape(*pixels.shape[:2], -1).any(axis=2))[-1]
        pixels[row, column] = 0
        save_png(path, pixels)

    return damage


def remove(pattern: str) -> Callable[[Path], None]:
    def damage(tree: Path) -> None:
        (path,) = tree.glob(pattern)
        path.unlink()

    return damage


def move_point(row: list[str], by: float = 1 / 23, places: tuple[int, ...] = (1,)) -> None:
    for place in places:
        row[place] = f"{float(row[place]) + by:.6f}"


def move_edge(document: dict[str, Any], annotation: dict[str, Any]) -> None:
    """The right edge of a polygon, by a pixel."""
    (ring,) = annotation["segmentation"]
    right = max(ring[::2])
    annotation["segmentation"] = [[value - (value == right) * (place % 2 == 0) for place, value in enumerate(ring)]]


MAP, PANOPTIC_MAP = f"masks/*/{NAME}.png", f"panoptic_*/{NAME}.png"
MASK = "part/ground_truth/scratch/001_mask.png"


class Damage(NamedTuple):
    kind: str
    harm: Callable[[Path], object]
    words: str


DAMAGES = {
    "a point moved by a pixel": Damage("yolo-segment", edit_rows(lambda rows: move_point(rows[0])), "px lost"),
    "an oriented box moved by a pixel": Damage(
        "yolo-obb", edit_rows(lambda rows: move_point(rows[0], places=(1, 3, 5, 7))), "contains"
    ),
    "a box off by half a pixel": Damage("yolo-detect", edit_rows(lambda rows: move_point(rows[0], 0.5 / 23)), "box"),
    "a box off by a fiftieth": Damage("yolo-detect", edit_rows(lambda rows: move_point(rows[0], 0.02 / 23)), "box"),
    **{
        f"a row removed from {kind}": Damage(kind, edit_rows(lambda rows: rows.pop()), "")
        for kind in ("yolo-segment", "yolo-detect", "yolo-obb")
    },
    **{
        f"a row doubled in {kind}": Damage(kind, edit_rows(lambda rows: rows.append(rows[0])), "")
        for kind in ("yolo-segment", "yolo-detect")
    },
    **{
        f"another class in {kind}": Damage(kind, edit_rows(lambda rows: rows[0].__setitem__(0, "0")), "")
        for kind in ("yolo-segment", "yolo-detect", "yolo-obb")
    },
    **{
        f"a label file removed from {kind}": Damage(kind, remove(f"labels/*/{NAME}.txt"), "")
        for kind in ("yolo-segment", "yolo-detect", "yolo-obb")
    },
    "a row that is no row": Damage("yolo-segment", edit_rows(lambda rows: rows[2].pop()), ":3: has "),
    "an image in another class": Damage(
        "yolo-classify",
        lambda tree: (
            (tree / "labels.csv").write_text(
                (tree / "labels.csv").read_text().replace(f"{NAME}.png,test,scratch", f"{NAME}.png,test,dent")
            )
            and None
        ),
        "in class 'dent', the source says 'scratch'",
    ),
    "an edge moved by a pixel": Damage("coco", edit_coco(move_edge), "px lost"),
    "a crowd": Damage("coco", edit_coco(lambda d, a: a.update(iscrowd=1)), "crowd"),
    "another area": Damage("coco", edit_coco(lambda d, a: a.update(area=a["area"] + 1)), "is not the pixel count"),
    "another box": Damage(
        "coco", edit_coco(lambda d, a: a["bbox"].__setitem__(2, a["bbox"][2] - 0.5)), "is not the tight box"
    ),
    "another category": Damage("coco", edit_coco(lambda d, a: a.update(category_id=1)), "px lost"),
    "an unknown category": Damage("coco", edit_coco(lambda d, a: a.update(category_id=9)), "unknown category 9"),
    "an annotation removed": Damage("coco", edit_coco(lambda d, a: d["annotations"].remove(a)), ""),
    "an image removed": Damage("coco", edit_coco(remove_image), "missing"),
    "a pixel of a class map": Damage("semantic", flip_pixel(MAP), "(0.98"),
    "a class map removed": Damage("semantic", remove(MAP), ""),
    "a pixel of a panoptic map": Damage("panoptic", flip_pixel(PANOPTIC_MAP), "(0.98"),
    "a panoptic map removed": Damage("panoptic", remove(PANOPTIC_MAP), ""),
    "a pixel of a mask": Damage("masks", flip_pixel(MASK), "(0.98"),
    "a mask removed": Damage("masks", remove(MASK), "without a mask"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_laid_to_its_image(labels: Path, source: Dataset, tmp_path: Path, name: str) -> None:
    damage = DAMAGES[name]
    tree = tree_copy(labels / damage.kind, tmp_path)
    damage.harm(tree)
    report = verify(tree, source)
    told = [line for line in report.failures if "labels_sha256" not in line]
    assert any(shown in line and damage.words in line for line in told for shown in (KEY, NAME, "scratch/001"))
    assert len(told) < len(report.failures)  # the hash tells as well
    assert not any("dent/000" in line or "scratch/000" in line for line in told)  # and no other image is accused


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda m: m["subsets"]["test"].update(images=9), "says 10 images, 7 are there"),
        (lambda m: m["subsets"]["test"].update(instances=1), "says 1 instances, "),
        (lambda m: m["components"].update(found=99), "components found are not those written and those skipped"),
        (lambda m: m.update(labels_sha256="0" * 64), "the label files are not those that were written"),
    ],
)
@pytest.mark.parametrize("kind", ["coco", "yolo-segment", "panoptic"])
def test_an_edited_manifest_is_found(
    labels: Path, source: Dataset, tmp_path: Path, kind: str, edit: Callable[[dict[str, Any]], None], words: str
) -> None:
    tree = tree_copy(labels / kind, tmp_path)
    manifest = json.loads((tree / "manifest.json").read_text())
    edit(manifest)
    (tree / "manifest.json").write_text(json.dumps(manifest))
    report = verify(tree, source)
    assert any(words in line and "manifest.json" in line for line in report.failures), report.failures


def test_a_folder_in_place_of_a_label_file_is_no_label_file(labels: Path, source: Dataset, tmp_path: Path) -> None:
    tree = tree_copy(labels / "yolo-segment", tmp_path)
    next(tree.glob("labels/*/*.txt")).unlink()
    (tree / "labels/test/more.txt").mkdir()
    assert any("labels_sha256" in line for line in verify(tree, source).failures)


def test_the_manifest_names_the_source(labels: Path) -> None:
    report = verify(labels)
    assert (report.passed, report.notes) == (True, ())
    assert {tree.exact for tree in report.trees} == {5, 7}


def test_a_tree_that_was_moved_is_checked_against_what_is_named(labels: Path, source: Dataset, tmp_path: Path) -> None:
    moved = tree_copy(labels, tmp_path / "elsewhere")
    alone = verify(moved)
    assert alone.passed
    assert alone.notes[0].startswith("no source to compare with")
    assert alone.trees[0].compared == 0
    assert verify(moved, source).passed
    assert verify(moved, source.root).trees[0].compared == 5


def test_label_trees_are_a_source_too(labels: Path, tmp_path: Path) -> None:
    convert(read_labels(labels / "coco"), tmp_path / "out", ["yolo-segment", "semantic", "panoptic", "yolo-detect"])
    assert verify(tmp_path / "out", labels / "coco").passed
    assert verify(tmp_path / "out").trees[0].compared == 5


def test_the_wrong_source_does_not_pass(labels: Path, product: Dataset) -> None:
    report = verify(labels / "coco", product)
    assert not report
    assert any(KEY in line and "is not in the source" in line for line in report.failures)


def test_a_changed_source_does_not_pass(labels: Path, source: Dataset, tmp_path: Path) -> None:
    root = shutil.copytree(source.root, tmp_path / "dataset")
    mask = np.ascontiguousarray(SHAPES["border contact"][:, ::-1])
    save_png(root / "part/ground_truth/scratch/001_mask.png", mask * 255)
    report = verify(labels, load_dataset(root))
    failed = {tree.kind for tree in report.trees if tree.failures}
    assert failed == set(FORMATS) - {"yolo-classify"}
    assert all(any(KEY in line for line in tree.failures) for tree in report.trees if tree.failures)


@pytest.mark.parametrize("least", [-0.1, 1.1])
def test_a_threshold_out_of_range_is_refused(labels: Path, least: float) -> None:
    with pytest.raises(ToolkitError, match="is no IoU"):
        verify(labels, min_iou=least)


def test_fewer_vertices_pass_at_their_own_threshold_only(source: Dataset, tmp_path: Path) -> None:
    convert(source, tmp_path / "out", ["coco", "yolo-segment"], min_iou=0.95)
    loose = verify(tmp_path / "out", source, min_iou=0.95)
    assert loose.passed, loose.failures
    assert 0.95 <= loose.min_iou < 1
    strict = verify(tmp_path / "out", source)
    assert not strict.passed
    assert all("below IoU 1; the worst: part/test/" in line for line in strict.failures)


def test_bridges_show_in_the_iou(source: Dataset, tmp_path: Path) -> None:
    report = convert(source, tmp_path / "out", ["yolo-segment"], instances="image", join_parts=True)
    pixels = int(SHAPES["border contact"].sum())
    found = verify(tmp_path / "out", source, min_iou=0.5)
    assert found.passed, found.failures
    (worst,) = found.trees[0].worst
    assert (worst.key, worst.lost, worst.gained) == (KEY, 0, report.manifests["yolo-segment"]["bridge_pixels"])
    assert worst.iou == pixels / (pixels + worst.gained)


def write_foreign_yolo(source: Dataset, root: Path, rows_of: Callable[[Bools, int], list[str]]) -> None:
    """A YOLO tree of another tool: no manifest, names of its own."""
    (root / "labels").mkdir(parents=True)
    (root / "images").mkdir()
    names = source.classes()
    (root / "data.yaml").write_text(json.dumps({"train": "images", "names": names}))
    for sample in source:
        name = file_name(sample.key)
        shutil.copy(sample.image, root / "images" / f"{name}.png")
        if sample.masks:
            rows = rows_of(read_mask(sample.masks[0]).pixels() > 0, names.index(sample.defect))
            (root / "labels" / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows))


def supervision_rows(mask: Bools, number: int) -> list[str]:
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    stack = np.stack([parts == part for part in range(1, count)])
    detections = supervision.Detections(
        xyxy=supervision.mask_to_xyxy(stack), mask=stack, class_id=np.full(count - 1, number)
    )
    rows = detections_to_yolo_annotations(detections, (*mask.shape, 3))
    return [row for row in rows if len(row.split()) > 5]  # of one pixel it makes a box


def contour_rows(mask: Bools, number: int) -> list[str]:
    """What most scripts write: outer contours, corner coordinates over the size."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    scaled = [contour.reshape(-1, 2) / np.array(mask.shape[::-1]) for contour in contours if len(contour) >= 3]
    return [f"{number} " + " ".join(f"{value:.6f}" for value in points.ravel()) for points in scaled]


@pytest.mark.parametrize("rows_of", [supervision_rows, contour_rows])
def test_a_yolo_tree_of_another_tool_is_measured(
    source: Dataset, tmp_path: Path, rows_of: Callable[[Bools, int], list[str]]
) -> None:
    write_foreign_yolo(source, tmp_path / "foreign", rows_of)
    expected = {}
    for sample in source:
        if sample.masks:
            truth = read_mask(sample.masks[0]).pixels() > 0
            path = tmp_path / "foreign/labels" / f"{file_name(sample.key)}.txt"
            ways = (fill_rows(path, truth.shape, rounding=rounding) for rounding in (False, True))
            expected[sample.key] = min(iou(way, truth) for way in ways)
    report = verify(tmp_path / "foreign", source)
    assert not report
    assert report.min_iou == pytest.approx(min(expected.values()), abs=1e-12)
    assert report.min_iou < 1
    assert report.trees[0].worst[0].key == min(expected, key=lambda key: expected[key])
    assert report.trees[0].mean_iou == pytest.approx(sum(expected.values()) / len(expected))
    assert report.trees[0].exact == sum(value == 1 for value in expected.values())


def test_a_coco_tree_of_contours_is_measured(source: Dataset, tmp_path: Path) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    expected: list[float] = []
    names = source.classes()
    for number, sample in enumerate(source):
        truth = read_mask(sample.masks[0]).pixels() > 0 if sample.masks else np.zeros((41, 41), np.bool_)
        size = {"width": truth.shape[1], "height": truth.shape[0]}
        images.append({"id": number, "file_name": f"{file_name(sample.key)}.png", **size})
        contours, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        found = [contour.ravel().tolist() for contour in contours if len(contour) >= 3]
        for ring in found:
            x, y, width, height = cv2.boundingRect(np.reshape(ring, (-1, 2)))
            own = {"id": len(annotations), "image_id": number, "category_id": names.index(sample.defect)}
            annotations.append({**own, "segmentation": [ring], "bbox": [x, y, width, height], "area": 1, "iscrowd": 0})
        document = {"images": images[-1:], "annotations": [a for a in annotations if a["image_id"] == number]}
        if sample.masks:
            (read,) = coco_masks(document).values()
            expected.append(iou(np.any(read, axis=0), truth))
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    everything = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "annotations.json").write_text(json.dumps(everything))
    report = verify(tmp_path, source)
    assert report.min_iou == pytest.approx(min(expected), abs=1e-12)
    assert report.min_iou < 0.9
    assert any("is not the pixel count" in line for line in report.failures)


def test_a_foreign_tree_that_lacks_images_names_them(source: Dataset, labels: Path, tmp_path: Path) -> None:
    tree = tree_copy(labels / "yolo-segment", tmp_path)
    (tree / "manifest.json").unlink()
    assert verify(tree, source).passed
    (tree / "labels/test" / f"{NAME}.txt").unlink()
    (tree / "images/test" / f"{NAME}.png").unlink()
    report = verify(tree, source)
    assert len(report.failures) == 1
    assert "1 of the source's 7 images are missing" in report.failures[0]
    assert KEY in report.failures[0]


def test_labels_from_memory_have_no_source(tmp_path: Path) -> None:
    write_labels([label_mask("a", SHAPES["disk"])], tmp_path / "out", ["coco"], classes=["defect"], image_mode="none")
    report: VerifyReport = verify(tmp_path / "out")
    assert report.passed
    assert report.notes


def test_a_size_that_differs_is_found(source: Dataset, labels: Path, tmp_path: Path) -> None:
    tree = tree_copy(labels / "coco", tmp_path)
    edit_coco(lambda d, a: [r.update(width=r["width"] + 1) for r in d["images"]])(tree)
    report = verify(tree, source)
    assert any(f"{KEY}: labelled as 24 x 19 pixels, the source is 23 x 19" in line for line in report.failures)


@pytest.mark.parametrize("kind", ["semantic", "yolo-segment"])
def test_a_class_with_a_letter_that_yaml_does_not_take_is_proven(tmp_path: Path, kind: str) -> None:
    mask = np.zeros((8, 8), np.bool_)
    mask[2:5, 2:6] = True
    convert(make_dataset(tmp_path / "data", {"a\x7fb": [mask]}), tmp_path / "out", kind)
    assert verify(tmp_path / "out").passed
    assert [one.label for image in read_labels(tmp_path / "out" / kind) for one in image.instances] == ["a\x7fb"]
