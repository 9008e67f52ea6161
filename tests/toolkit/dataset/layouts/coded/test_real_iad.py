"""Real-IAD, whose JSON says what its images show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Facts, Tree, facts, plant, told
from toolkit.dataset.layouts import load_dataset
from toolkit.errors import ToolkitError

JSON = "realiad_jsons/jack.json"
OK = "OK/S0004/jack_0004_OK_C1_a.jpg"
SEEN = "NG/BX/S0129/jack__0129_NG_BX_C2_b"
UNSEEN = "NG/BX/S0129/jack__0129_NG_BX_C3_c.jpg"
IMAGES: Tree = {OK: IMAGE, f"{SEEN}.jpg": IMAGE, f"{SEEN}.png": 255, UNSEEN: IMAGE}


def entry(path: str, label: str = "OK", mask: str | None = None) -> dict[str, Any]:
    return {"category": "jack", "anomaly_class": label, "image_path": path, "mask_path": mask}


TRAIN = [entry(OK)]
TEST = [entry(f"{SEEN}.jpg", "BX", f"{SEEN}.png"), entry(UNSEEN)]
EXPECTED: Facts = {
    "jack/test/BX/S0129/jack__0129_NG_BX_C2_b": (("BX",), "test", "masks"),
    "jack/test/good/S0129/jack__0129_NG_BX_C3_c": ((), "test", "good"),
    "jack/train/good/S0004/jack_0004_OK_C1_a": ((), "train", "good"),
}


def grow(root: Path, images: str, *documents: str, train: Any = TRAIN, test: Any = TEST) -> Path:
    plant(root / images, IMAGES)
    for place in documents:
        document = {"meta": {"prefix": "jack/", "normal_class": "OK"}, "train": train, "test": test}
        plant(root, {place: json.dumps(document)})
    return root


@pytest.mark.parametrize("start", ["", "realiad_1024", "realiad_1024/jack"])
@pytest.mark.parametrize(
    "document", ["realiad_jsons/jack.json", "realiad_jsons_sv/jack.json", "realiad_1024/jack/jack.json"]
)
def test_the_json_decides_wherever_it_lies_and_whatever_is_named(tmp_path: Path, document: str, start: str) -> None:
    dataset = load_dataset(grow(tmp_path, "realiad_1024/jack", document) / start)
    assert (dataset.layout, facts(dataset), told(dataset)) == ("real-iad", EXPECTED, [])
    assert [sample.group for sample in dataset] == ["jack/S0129", "jack/S0129", "jack/S0004"]
    assert dataset[0].masks[0].reading == "nonzero"


def test_one_family_of_documents_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    grow(tmp_path, "realiad_256/jack", "realiad_jsons/jack.json")
    plant(tmp_path, {"realiad_jsons_fuiad_0.1/jack.json": "{}"})
    dataset = load_dataset(tmp_path)
    assert facts(dataset) == EXPECTED
    assert dataset.notes == ("subsets are those of realiad_jsons; not read: realiad_jsons_fuiad_0.1",)


def test_several_families_without_the_plain_one_are_refused(tmp_path: Path) -> None:
    grow(tmp_path, "realiad_256/jack", "realiad_jsons_sv/jack.json", "realiad_jsons_fuiad_0.1/jack.json")
    with pytest.raises(ToolkitError, match="has several JSON files"):
        load_dataset(tmp_path)


def test_several_sizes_are_refused(tmp_path: Path) -> None:
    grow(tmp_path, "realiad_256/jack", "realiad_jsons/jack.json")
    grow(tmp_path, "realiad_1024/jack")
    with pytest.raises(ToolkitError, match="in several sizes: realiad_1024, realiad_256; name one"):
        load_dataset(tmp_path)


def test_without_the_json_it_is_refused_and_the_folders_can_be_read_when_told(tmp_path: Path) -> None:
    root = grow(tmp_path, "realiad_1024/jack") / "realiad_1024"
    with pytest.raises(ToolkitError, match=r"many images under NG/ are good.*real-iad-folders"):
        load_dataset(root)
    assert facts(load_dataset(root, layout="real-iad-folders")) == {
        "jack/BX/S0129/jack__0129_NG_BX_C2_b": (("BX",), "train", "masks"),
        "jack/BX/S0129/jack__0129_NG_BX_C3_c": ((), "train", "good"),
        "jack/good/S0004/jack_0004_OK_C1_a": ((), "train", "good"),
    }


@pytest.mark.parametrize(
    ("train", "test", "problem"),
    [
        ([], TEST, f"realiad_256/jack: 1 image file(s) are named nowhere in {JSON}: {OK}"),
        ([*TRAIN, entry("OK/gone.jpg")], TEST, f"{JSON}: names OK/gone.jpg, which is not in realiad_256/jack"),
        ([*TRAIN, *TEST], TEST[:1], f"{JSON}: names {SEEN}.jpg more than once"),
        (TRAIN, [TEST[0], entry(UNSEEN, "OK", "x")], f"{JSON}: says of {UNSEEN} that it is good, and gives it a mask"),
    ],
)
def test_where_json_and_folder_differ_is_named(tmp_path: Path, train: Any, test: Any, problem: str) -> None:
    root = grow(tmp_path, "realiad_256/jack", "realiad_jsons/jack.json", train=train, test=test)
    assert told(load_dataset(root)) == [problem]


@pytest.mark.parametrize("mask", [None, "NG/BX/S0129/gone.png"])
def test_a_defect_without_a_mask_is_a_class_alone(tmp_path: Path, mask: str | None) -> None:
    test = [TEST[0], entry(UNSEEN, "BX", mask)]
    dataset = load_dataset(grow(tmp_path, "realiad_256/jack", "realiad_jsons/jack.json", test=test))
    assert [problem.problem for problem in dataset.unmasked.values()] == ["a defect image without a mask"]
    assert dataset[1].kind == "class"


@pytest.mark.parametrize("document", ["[]", "{", '{"test": [{}]}', '{"test": [3]}'])
def test_a_json_that_is_another_is_refused(tmp_path: Path, document: str) -> None:
    plant(grow(tmp_path, "realiad_256/jack"), {"realiad_jsons/jack.json": document})
    with pytest.raises(ToolkitError, match=r"jack\.json: (is not as Real-IAD has it|is no JSON that can be read)"):
        load_dataset(tmp_path)
