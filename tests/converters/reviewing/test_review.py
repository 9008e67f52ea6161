"""Decisions become labels: what is kept, removed, renamed, left out, and drawn anew; and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from converters import convert, read_labels, review, verify, view
from tests.commands import IMAGES, defectkit, make_dataset
from tests.converters.boxed import BOX, MASK, boxed_tree, classified_tree
from toolkit import load_dataset
from toolkit.errors import ToolkitError

DENT, SCRATCH, GOOD = "part/test/dent/00", "part/test/scratch/00", "part/test/good/00"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, labels of it, and galleries of both."""
    home = tmp_path_factory.mktemp("made")
    make_dataset(home / "data")
    convert(load_dataset(home / "data"), home / "labels", ["coco", "yolo-segment"])
    view(home / "labels/coco", home / "gallery")
    view(home / "data", home / "of-masks")
    return home


def say(key: str, decision: str, instance: int | None = None, to: str | None = None, **more: object) -> dict[str, Any]:
    level = "image" if instance is None else "instance"
    return {"key": key, "level": level, "instance": instance, "decision": decision, "class": to, **more}


def decided(gallery: Path, path: Path, /, *decisions: Mapping[str, object], **more: object) -> Path:
    mark = json.loads((gallery / "manifest.json").read_text())["input_sha256"]
    told = {"schema": 1, "format": "decisions", "gallery": mark, "reviewer": "Ann", "decisions": decisions, **more}
    path.write_text(json.dumps(told))
    return path


MIXED = (
    say(DENT + "0", "accept"),
    say(DENT + "1", "reject"),
    say(SCRATCH + "0", "class", to="dent"),
    say(SCRATCH + "1", "accept"),
    say(SCRATCH + "1", "reject", 1),
    say(SCRATCH + "2", "needs-work", note="wobbly", time="2026-01-01T00:00:00Z"),
)


@pytest.mark.parametrize("gallery", ["gallery", "of-masks"])
@pytest.mark.parametrize("tasks", ["labelme", "cvat", "label-studio"])
def test_labels_become_what_was_decided(made: Path, tmp_path: Path, gallery: str, tasks: str) -> None:
    path = decided(made / gallery, tmp_path / "d.json", *MIXED)
    report = review(made / gallery, path, tmp_path / "out", tasks=tasks)
    shown = {image.key: [one.label for one in image.instances] for image in read_labels(tmp_path / "out/coco")}
    assert len(shown) == IMAGES - 2
    assert (shown[DENT + "0"], shown[SCRATCH + "0"]) == (["dent"] * 2, ["dent"] * 2)
    assert shown[SCRATCH + "1"] == ["scratch"]
    (work,) = read_labels(tmp_path / "out/needs-work" / tasks)
    assert (work.key, len(work.instances)) == (SCRATCH + "2", 2)
    told = report.manifests["coco"]["review"]
    assert told["reviewer"] == "Ann"
    assert told["counts"]["labels_removed"] == 3
    assert {**MIXED[5], "note": "wobbly"}.items() >= told["decisions"][-1].items()
    for folder in (tmp_path / "out", tmp_path / "out/needs-work"):
        assert verify(folder).passed
        assert verify(folder, made / "data").passed  # of the masks the same was decided


def test_the_proof_knows_what_the_review_changed(made: Path, tmp_path: Path) -> None:
    review(made / "gallery", decided(made / "gallery", tmp_path / "d.json", *MIXED), tmp_path / "out")
    path = tmp_path / "out/coco/annotations/instances_test.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["category_id"] = 2
    path.write_text(json.dumps(document))
    assert not verify(tmp_path / "out").passed


def test_what_is_left_of_an_image_without_labels(made: Path, tmp_path: Path) -> None:
    every = (say(DENT + "0", "reject"), say(DENT + "1", "class", to="good"), say(GOOD + "0", "reject"))
    path = decided(made / "gallery", tmp_path / "d.json", *every)
    for rejected, there in (("drop", False), ("good", True)):
        review(made / "gallery", path, tmp_path / rejected, rejected=rejected)  # type: ignore[arg-type]
        shown = {image.key: image for image in read_labels(tmp_path / rejected / "coco")}
        assert (DENT + "0" in shown) == there
        assert GOOD + "0" not in shown  # a word that is wrong leaves no image that is good
        assert shown[DENT + "1"].instances == ()
        assert verify(tmp_path / rejected).passed


def test_undecided_images_can_be_left_out(made: Path, tmp_path: Path) -> None:
    path = decided(made / "gallery", tmp_path / "d.json", MIXED[0])
    review(made / "gallery", path, tmp_path / "out", undecided="drop", to="yolo-segment")
    assert [image.key for image in read_labels(tmp_path / "out/yolo-segment")] == [DENT + "0"]


def test_boxes_and_classes_are_reviewed_too(tmp_path: Path) -> None:
    convert(read_labels(boxed_tree(tmp_path / "in", [[BOX, MASK], [BOX], []])), tmp_path / "boxes", "coco")
    convert(read_labels(classified_tree(tmp_path / "in2")), tmp_path / "classes", "yolo-classify")
    view(tmp_path / "boxes/coco", tmp_path / "g")
    path = decided(tmp_path / "g", tmp_path / "d.json", say("0", "reject", 0), say("1", "reject"))
    review(tmp_path / "g", path, tmp_path / "out")
    assert [len(image.instances) for image in read_labels(tmp_path / "out/coco")] == [1, 0]
    assert verify(tmp_path / "out").passed
    view(tmp_path / "classes/yolo-classify", tmp_path / "h")
    classes = {image.key: image.image_label for image in read_labels(tmp_path / "classes/yolo-classify")}
    key, other = next(iter(classes)), sorted(set(classes.values()) - {"good"})[-1]
    path = decided(tmp_path / "h", tmp_path / "e.json", say(key, "class", to=other))
    review(tmp_path / "h", path, tmp_path / "out2")
    there = {image.key: image.image_label for image in read_labels(tmp_path / "out2/yolo-classify")}
    assert there == {**classes, key: other}
    assert verify(tmp_path / "out2").passed


BAD: dict[str, tuple[tuple[Mapping[str, object], ...], dict[str, object], str]] = {
    "schema": ((), {"schema": 7}, "has schema 7"),
    "format": ((), {"format": "gallery"}, "holds no decisions"),
    "other gallery": ((), {"gallery": "0" * 64}, "is of another gallery"),
    "key": ((say("part/test/dent/777", "accept"),), {}, "does not show"),
    "class": ((say(DENT + "0", "class", to="crack"),), {}, "'crack', which there is not"),
    "no class": ((say(DENT + "0", "class"),), {}, "names none"),
    "word": ((say(DENT + "0", "perhaps"),), {}, "decision"),
    "twice": ((say(DENT + "0", "accept"), say(DENT + "0", "reject")), {}, "decides twice"),
    "instance": ((say(DENT + "0", "reject", 2),), {}, "instance 2"),
    "level": ((say(DENT + "0", "reject", 1, level="image"),), {}, "of level 'image'"),
    "class of good": ((say(GOOD + "0", "class", to="dent"),), {}, "shows no object"),
}


@pytest.mark.parametrize(("decisions", "more", "problem"), BAD.values(), ids=BAD)
def test_bad_decisions_are_refused_in_a_line(
    made: Path, tmp_path: Path, decisions: Any, more: Any, problem: str
) -> None:
    path = decided(made / "gallery", tmp_path / "d.json", *decisions, **more)
    done = defectkit("review", made / "gallery", path, tmp_path / "out")
    assert (done.status, len(done.errors)) == (2, 1)
    assert problem in done.errors[0]
    assert "; " in done.errors[0]
    assert not (tmp_path / "out").exists()


def test_labels_that_have_changed_since_are_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "labels/coco", tmp_path / "coco")
    view(tmp_path / "coco", tmp_path / "g", against=made / "data")
    path = tmp_path / "coco/annotations/instances_test.json"
    document = json.loads(path.read_text())
    ring = document["annotations"][0]["segmentation"][0]
    document["annotations"][0]["segmentation"][0] = [
        value + 1 if place % 2 else value for place, value in enumerate(ring)
    ]
    path.write_text(json.dumps(document))
    told = decided(tmp_path / "g", tmp_path / "d.json", say(DENT + "0", "accept"))
    with pytest.raises(ToolkitError, match="not those that the gallery shows"):
        review(tmp_path / "g", told, tmp_path / "out")


def test_labels_that_moved_are_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "gallery", tmp_path / "g")
    path = decided(tmp_path / "g", tmp_path / "d.json", MIXED[1])
    assert "--labels" in defectkit("review", tmp_path / "g", path, tmp_path / "out").err
    done = defectkit("review", tmp_path / "g", path, tmp_path / "out", "--labels", made / "labels/coco", "--json")
    assert done.json()["counts"]["dropped"] == 1


def test_the_next_command_is_said(made: Path, tmp_path: Path) -> None:
    path = decided(made / "gallery", tmp_path / "d.json", *MIXED)
    done = defectkit("review", made / "gallery", path, tmp_path / "out")
    assert f"defectkit train yolo-world {tmp_path / 'out/coco'}" in done.out
    assert "--tasks labelme" in done.err
