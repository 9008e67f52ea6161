"""The image files of label trees: missing, replaced, cut short, moved."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converters import FORMATS, convert, read_labels, verify
from tests.commands import defectkit
from tests.converters.support import coco_document, make_dataset, save_png, tree_copy
from tests.masks import SHAPES
from toolkit import Dataset, ToolkitError

NAME = "part__test__scratch__000"
MASKS = {"dent": [SHAPES["ring"]], "scratch": [SHAPES["disk"]]}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("source") / "dataset", MASKS, good=1)


@pytest.fixture(scope="module")
def labels(source: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels") / "out"
    convert(source, out, FORMATS, images="copy")
    return out


def find_photo(tree: Path) -> Path:
    """The image of scratch/000 in a tree."""
    if tree.name == "masks":
        return tree / "part/test/scratch/000.png"
    places = {"yolo-classify": "test/scratch", "voc": "JPEGImages"}
    return tree / places.get(tree.name, "images/test") / f"{NAME}.png"


def lengthen(photo: Path) -> None:
    """A file that shows the same and holds a byte more."""
    photo.write_bytes(photo.read_bytes() + b"\0")


def cut(photo: Path) -> None:
    photo.write_bytes(photo.read_bytes()[:-20])


def turn_a_bit(photo: Path) -> None:
    """A file of the same length with one bit turned."""
    data = bytearray(photo.read_bytes())
    data[len(data) // 2] ^= 1
    photo.write_bytes(bytes(data))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_missing_image_is_named(labels: Path, source: Dataset, tmp_path: Path, kind: str) -> None:
    tree = tree_copy(labels / kind, tmp_path)
    find_photo(tree).unlink()
    for report in (verify(tree, source), verify(tree)):
        told = [line for line in report.failures if "missing" in line or "without an image" in line]
        assert any(NAME in line or "scratch/000" in line for line in told), report.failures


@pytest.mark.parametrize("harm", [lengthen, cut, turn_a_bit])
@pytest.mark.parametrize("kind", ["coco", "yolo-segment", "semantic", "masks", "yolo-classify"])
def test_another_image_than_that_of_the_source_is_named_with_it(
    labels: Path, source: Dataset, tmp_path: Path, kind: str, harm: Callable[[Path], None]
) -> None:
    tree = tree_copy(labels / kind, tmp_path)
    photo = find_photo(tree)
    harm(photo)
    report = verify(tree, source)
    other = str(source.root / "part/test/scratch/000.png")
    assert any(str(photo) in line and other in line for line in report.failures), report.failures
    assert not any("dent/000" in line for line in report.failures)


def test_without_a_source_an_image_must_be_readable(labels: Path, tmp_path: Path) -> None:
    tree = tree_copy(labels / "coco", tmp_path)
    assert verify(tree).passed
    cut(find_photo(tree))
    assert [f"{NAME}.png: " in line for line in verify(tree).failures] == [True]


def test_without_a_source_an_image_must_be_of_the_size_of_its_label(labels: Path, tmp_path: Path) -> None:
    tree = tree_copy(labels / "coco", tmp_path)
    save_png(find_photo(tree), np.full((5, 6), 90))
    (line,) = verify(tree).failures
    assert line.startswith(f"{find_photo(tree)}: is 6 x 5 pixels, labelled as ")


@pytest.mark.parametrize("images", ["hardlink", "symlink"])
def test_links_to_the_source_are_not_read(
    source: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: str
) -> None:
    convert(source, tmp_path / "out", ["coco"], images=images)  # type: ignore[arg-type]
    monkeypatch.setattr("converters.verification.photos._BLOCK", "not to be read")
    assert verify(tmp_path / "out", source).passed


def test_trees_without_images_need_none(source: Dataset, tmp_path: Path) -> None:
    convert(source, tmp_path / "out", FORMATS, images="none")
    assert verify(tmp_path / "out", source).passed
    assert verify(tmp_path / "out").passed


def test_a_few_of_many_missing_images_are_named(labels: Path, source: Dataset, tmp_path: Path) -> None:
    tree = tree_copy(labels / "coco", tmp_path)
    shutil.rmtree(tree / "images")
    (line,) = verify(tree, source).failures
    assert f"{tree}: 4 of its 4 image files are missing: images/test/part__test__dent__000.png" in line


def test_another_tools_labels_may_stand_without_images_beside_the_source(
    labels: Path, source: Dataset, tmp_path: Path
) -> None:
    tree = tree_copy(labels / "coco", tmp_path)
    (tree / "manifest.json").unlink()
    report = verify(tree, source)
    assert (report.passed, report.notes) == (True, (f"{tree}: no manifest: no counts and hashes to check",))
    shutil.rmtree(tree / "images/test")
    assert any("part__test__dent__000" in line for line in verify(tree, source).failures)
    shutil.rmtree(tree / "images")
    report = verify(tree, source)
    assert report.passed
    assert any("has no image files" in note for note in report.notes)
    assert any("4 of its 4 image files are missing" in line for line in verify(tree).failures)


def test_a_tree_of_labels_that_had_no_images_says_so(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "in/annotations").mkdir(parents=True)
    document = coco_document(labels / "coco", "test")
    (tmp_path / "in/annotations/instances_test.json").write_text(json.dumps(document))
    convert(read_labels(tmp_path / "in"), tmp_path / "out", ["coco"])
    report = verify(tmp_path / "out")
    assert report.passed, report.failures
    assert not (tmp_path / "out/coco/images").exists()


def test_without_source_and_manifest_no_hashes_are_said_to_be_checked(labels: Path, tmp_path: Path) -> None:
    tree = tree_copy(labels / "yolo-segment", tmp_path)
    (tree / "manifest.json").unlink()
    first, second = verify(tree).notes
    assert first.startswith("no source to compare with: what labels say of themselves was checked")
    assert second.endswith("no manifest: no counts and hashes to check")


def test_the_note_of_a_missing_manifest_is_printed(labels: Path, source: Dataset, tmp_path: Path) -> None:
    tree = tree_copy(labels / "yolo-segment", tmp_path)
    (tree / "manifest.json").unlink()
    done = defectkit("verify", tree, "--against", source.root)
    assert (done.status, done.err) == (0, f"note: {tree}: no manifest: no counts and hashes to check\n")


def moved(tree: Path) -> None:
    os.rename(find_photo(tree), tree / "test/dent" / f"{NAME}.png")


def renamed(tree: Path) -> None:
    os.rename(tree / "test/scratch", tree / "test/scratches")


def subset_renamed(tree: Path) -> None:
    os.rename(tree / "test", tree / "val")


def copied(tree: Path) -> None:
    shutil.copy(find_photo(tree), tree / "test/dent")


def added(tree: Path) -> None:
    shutil.copy(find_photo(tree), tree / "test/dent/mine.png")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (moved, "stands in test/dent, labels.csv says test/scratch"),
        (renamed, "stands in test/scratches, labels.csv says test/scratch"),
        (subset_renamed, "stands in val/scratch, labels.csv says test/scratch"),
        (copied, "is not in labels.csv"),
        (added, "is not in labels.csv"),
    ],
)
def test_classification_trees_are_compared_by_their_folders(
    labels: Path, source: Dataset, tmp_path: Path, harm: Callable[[Path], None], words: str
) -> None:
    tree = tree_copy(labels / "yolo-classify", tmp_path)
    assert verify(tree, source).passed
    harm(tree)
    for report in (verify(tree, source), verify(tree)):
        assert any(words in line for line in report.failures), report.failures
        assert not any("missing" in line for line in report.failures)
    with pytest.raises(ToolkitError, match=words):
        convert(read_labels(tree), tmp_path / "again", ["yolo-classify"])


def test_a_dataset_file_that_leads_elsewhere_is_found(tmp_path: Path) -> None:
    mark = np.zeros((12, 16), np.uint8)
    mark[3:7, 4:9] = 1
    data = make_dataset(tmp_path / "data", {"dent": [mark]})
    convert(data, tmp_path / "out", ["yolo-segment", "coco"])
    path = tmp_path / "out/yolo-segment/data.yaml"
    path.write_text(path.read_text().replace("images/train", "images/nowhere"))
    assert f"{path}: train is not what was written" in verify(tmp_path / "out").failures


def test_a_tree_that_lost_its_manifest_is_not_passed_over(tmp_path: Path) -> None:
    mark = np.zeros((12, 16), np.uint8)
    mark[3:7, 4:9] = 1
    data = make_dataset(tmp_path / "data", {"dent": [mark]})
    convert(data, tmp_path / "out", ["yolo-segment", "coco"])
    (tmp_path / "out/coco/manifest.json").unlink()
    report = verify(tmp_path / "out")
    assert [tree.kind for tree in report.trees] == ["coco", "yolo-segment"]
    assert any("no manifest" in note for note in report.notes)
