"""What other tools ask for beside the labels: datumaro's list of classes, panoptic maps where COCO's archives are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters import convert, read_labels, verify
from tests.commands import defectkit
from tests.converters.support import make_dataset
from tests.masks import SHAPES
from toolkit import Dataset

MASKS = {"dent": [SHAPES["ring"]], "scratch": [SHAPES["comb"]]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("places") / "data", MASKS)


def label_map(tree: Path) -> dict[int, str]:
    """Value -> class, as datumaro's parse_meta_file takes them: in their order, equal names once."""
    document = json.loads((tree / "dataset_meta.json").read_text("utf-8"))
    assert "segmentation_colors" not in document  # the maps hold numbers, not colours
    return dict(enumerate(dict.fromkeys(document["label_map"].values())))


def test_semantic_trees_name_the_values_of_their_maps(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "out", "semantic", images="none")
    tree = tmp_path / "out/semantic"
    names = label_map(tree)
    assert names == {0: "background", 1: "dent", 2: "scratch"}
    for label in ("dent", "scratch"):
        path = next(tree.glob(f"masks/*/*__{label}__*.png"))
        assert {names[value] for value in np.unique(np.asarray(Image.open(path)))} == {"background", label}


def test_a_class_that_is_called_background_keeps_its_value(tmp_path: Path) -> None:
    masks = {"background": [SHAPES["ring"]], "dent": [SHAPES["comb"]], "unlabelled": [SHAPES["comb"]]}
    convert(make_dataset(tmp_path / "data", masks), tmp_path / "out", "semantic", images="none")
    names = label_map(tmp_path / "out/semantic")
    assert names == {0: "background 0", 1: "background", 2: "dent", 3: "unlabelled"}


def test_what_names_the_values_is_checked_and_may_be_missing(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "out", "semantic", images="none")
    path = tmp_path / "out/semantic/dataset_meta.json"
    path.write_text(path.read_text().replace("dent", "dint"))
    assert "label_map is not what was written" in str(verify(tmp_path / "out").failures)
    path.unlink()  # as older versions wrote it
    assert verify(tmp_path / "out").passed


def test_panoptic_maps_stand_where_coco_has_them(dataset: Dataset, tmp_path: Path) -> None:
    flat = convert(dataset, tmp_path / "flat", "panoptic").manifests["panoptic"]
    told = defectkit("convert", dataset.root, tmp_path / "coco", "--to", "panoptic", "--panoptic-layout", "coco")
    assert told.status == 0, told.err
    tree = tmp_path / "coco/panoptic"
    assert flat["options"].get("panoptic_layout") is None
    assert not list(tree.glob("panoptic_*"))
    for file in (tree / "annotations").glob("*.json"):
        document = json.loads(file.read_text())
        maps = {path.name for path in file.with_suffix("").iterdir()}
        assert maps == {one["file_name"] for one in document["annotations"]}
        assert file.read_bytes() == (tmp_path / "flat/panoptic/annotations" / file.name).read_bytes()
        for path in file.with_suffix("").iterdir():
            assert path.read_bytes() == (tmp_path / "flat/panoptic" / file.stem / path.name).read_bytes()
    assert verify(tmp_path / "coco").passed


def test_maps_in_either_place_are_read_without_a_manifest(dataset: Dataset, tmp_path: Path) -> None:
    found = []
    for place in ("flat", "coco"):
        convert(dataset, tmp_path / place, "panoptic", panoptic_layout=place)
        (tmp_path / place / "panoptic/manifest.json").unlink()
        tree = read_labels(tmp_path / place / "panoptic")
        found.append({image.key: [(one.label, one.area) for one in image.instances] for image in tree})
    assert found[0] == found[1]
    assert sum(map(len, found[0].values())) == 2


def test_a_map_that_was_changed_fails_in_either_place(dataset: Dataset, tmp_path: Path) -> None:
    convert(dataset, tmp_path / "out", "panoptic", panoptic_layout="coco")
    path = next((tmp_path / "out/panoptic/annotations").glob("panoptic_*/*dent*.png"))
    path.write_bytes(path.read_bytes() + b"\0")
    assert "labels_sha256" in str(verify(tmp_path / "out").failures)
