"""What labelme2voc.py writes is read: pictures or arrays, with and without a map of objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from converters import read_labels, verify
from converters.formats.base import Reading
from converters.formats.labelme.voc_output import is_voc_output
from tests.commands import defectkit, save
from tests.converters.formats.labelme.judge import picture_of, region

Ids = npt.NDArray[np.int32]
CLASSES = np.zeros((32, 48), np.int32)
CLASSES[4:9, 4:12] = 1
CLASSES[4:9, 12:20] = 1  # two objects that touch
CLASSES[20:24, 30:40] = 2
CLASSES[28:, :6] = -1
OBJECTS = np.zeros((32, 48), np.int32)
OBJECTS[4:9, 4:12] = 1
OBJECTS[4:9, 12:20] = 2
OBJECTS[20:24, 30:40] = 3

FORMS = ["png", "png of old", "npy", "npy of old"]


def save_map(root: Path, what: str, name: str, ids: Ids, form: str) -> None:
    """A map as one version or another of the script has it."""
    folder = {"png": what, "png of old": f"{what}PNG", "npy": f"{what}Npy", "npy of old": what}[form]
    (root / folder).mkdir(parents=True, exist_ok=True)
    if form.startswith("npy"):
        np.save(root / folder / f"{name}.npy", ids)
        return
    picture = Image.fromarray(ids.astype(np.uint8), "P")
    picture.putpalette([value for number in range(256) for value in (number, 255 - number, 7)])
    picture.save(root / folder / f"{name}.png")


def make(root: Path, form: str = "png", *, objects: bool = True, names: str = "_background_\ndent\nrust") -> Path:
    """Two images, one of them good."""
    (root / "JPEGImages").mkdir(parents=True)
    (root / "class_names.txt").write_text(names)
    for number, name in enumerate(("a", "b")):
        save(root / f"JPEGImages/{name}.jpg", picture_of(number))
        save(root / f"SegmentationClassVisualization/{name}.jpg", picture_of(number + 5))
        save_map(root, "SegmentationClass", name, CLASSES * (name == "a"), form)
        if objects:
            save_map(root, "SegmentationObject", name, OBJECTS * (name == "a"), form)
    return root


@pytest.mark.parametrize("names", ["_background_\ndent\nrust", "__ignore__\n_background_\ndent\nrust\n"])
@pytest.mark.parametrize("form", FORMS)
def test_objects_are_those_of_the_map(tmp_path: Path, form: str, names: str) -> None:
    tree = read_labels(make(tmp_path, form, names=names))
    assert (tree.kind, tree.classes(), len(tree)) == ("labelme", ["dent", "rust"], 2)
    found = region(tree, "a")
    assert [label for label, _ in found] == ["dent", "dent", "rust"]
    for number, (_, mask) in enumerate(found, 1):
        assert np.array_equal(mask, number == OBJECTS)
    assert {one.sample.key: one.sample.defect for one in tree.records} == {"a": "combined", "b": "good"}


@pytest.mark.parametrize("form", FORMS)
def test_without_a_map_of_objects_components_are(tmp_path: Path, form: str) -> None:
    found = region(read_labels(make(tmp_path, form, objects=False)), "a")
    assert [(label, int(mask.sum())) for label, mask in found] == [("dent", 80), ("rust", 40)]


def test_it_is_converted_and_verified(tmp_path: Path) -> None:
    root = make(tmp_path / "in")
    done = defectkit("convert", root, tmp_path / "out", "--to", "coco,labelme,semantic", "--json")
    assert done.json()["formats"]["coco"]["subsets"]["train"] == {"images": 2, "instances": 3, "background": 1}
    assert any("beside the images and their maps are not read" in note for note in done.json()["notes"])
    assert verify(tmp_path / "out").passed


def test_images_without_a_map_are_unlabelled_or_as_told(tmp_path: Path) -> None:
    root = make(tmp_path)
    save(root / "JPEGImages/c.jpg", picture_of(7))
    kinds = {one.sample.key: one.sample.kind for one in read_labels(root).records}
    assert kinds == {"a": "masks", "b": "good", "c": "unlabelled"}
    told = read_labels(root, reading=Reading(without_label="good"))
    assert {one.sample.kind for one in told.records} == {"masks", "good"}


def test_what_is_only_to_be_ignored_is_not_good(tmp_path: Path) -> None:
    root = make(tmp_path, objects=False)
    save_map(root, "SegmentationClass", "b", np.where(CLASSES == 1, -1, 0).astype(np.int32), "png")
    kinds = {one.sample.key: one.sample.kind for one in read_labels(root).records}
    assert kinds == {"a": "masks", "b": "unlabelled"}


def spoil(root: Path, what: str) -> None:
    array: Any = {
        "pickle": np.array([[{}]], object),
        "floats": np.zeros((32, 48)),
        "three": np.zeros((32, 48, 3), np.int32),
        "below": np.full((32, 48), -7, np.int32),
        "strange": np.maximum(CLASSES * 5, 0),
        "sizes": CLASSES[:20],
    }.get(what)
    place = root / "SegmentationClassNpy/a.npy"
    if what == "cut":
        place.write_bytes(place.read_bytes()[:-9])
    elif what == "no array":
        place.write_bytes(b"\x93NUMPY\x01\x00\xff\xff")
    elif what == "orphan":
        place.rename(place.with_name("z.npy"))
        (root / "SegmentationObjectNpy/a.npy").unlink()
    elif what == "objects":
        np.save(root / "SegmentationObjectNpy/a.npy", np.where(OBJECTS == 1, 0, OBJECTS))
    elif what == "mixed":
        np.save(root / "SegmentationObjectNpy/a.npy", (OBJECTS > 0).astype(np.int32))
    else:
        np.save(place, array, allow_pickle=what == "pickle")


WRONG = {
    "pickle": "a.npy: is no map of whole numbers (shape (1, 1), type object); run labelme2voc.py again",
    "floats": "a.npy: is no map of whole numbers (shape (32, 48), type float64); run labelme2voc.py again",
    "three": "a.npy: is no map of whole numbers (shape (32, 48, 3), type int32); run labelme2voc.py again",
    "below": "a.npy: holds -7, which is the id of nothing; run labelme2voc.py again",
    "strange": "a.npy: holds class 5, which class_names.txt does not name; correct it",
    "cut": "a.npy: is no map of whole numbers (shape (32, 48), type int32); run labelme2voc.py again",
    "no array": "a.npy: is no array of NumPy's that can be read; run labelme2voc.py again",
    "orphan": "z.npy: a class map without an image; put its image into JPEGImages, or remove it",
    "sizes": "a.jpg: is 48 x 32 pixels, its labels are for 48 x 20; put the right image there, or ",
    "objects": "a.npy: marks other pixels than ",
    "mixed": "a.npy: object 1 is of several classes in ",
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_maps_are_problems(tmp_path: Path, what: str) -> None:
    root = make(tmp_path, "npy")
    spoil(root, what)
    tree = read_labels(root)
    found = [*tree.layout_problems, *(one for record in tree.records for one in record.inspect(None))]  # type: ignore[arg-type]
    assert [str(one).rpartition("Npy/")[2].rpartition("JPEGImages/a")[2] for one in found][:1]
    told = str(found[0])
    assert WRONG[what] in told.replace(f"{root}/", "")


@pytest.mark.parametrize("folder", ["Annotations", "ImageSets"])
def test_what_pascal_voc_says_more_of_is_left_to_it(tmp_path: Path, folder: str) -> None:
    assert is_voc_output(make(tmp_path))
    (tmp_path / folder).mkdir()
    assert not is_voc_output(tmp_path)
