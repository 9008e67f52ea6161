"""Large COCO files are read image by image, and come to the same as files that are read whole."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from converters import read_labels, verify
from converters.formats.coco import document, slices
from converters.formats.coco.slices import Part, Slices, open_sliced
from toolkit.errors import ToolkitError
from toolkit.geometry.labels import LabelledImage

DOCUMENT: dict[str, Any] = {
    "info": {"description": '\u00fcber {all} [of] "it" \\', "year": 2024},
    "images": [{"id": n, "file_name": f"{n}, [{{\u00e4.png", "width": 20, "height": 10} for n in range(30)],
    "annotations": [
        {"id": n, "image_id": n * 7 % 30, "category_id": 1, "bbox": [n / 7, 2, 3.5, 4], "note": "}]," * (n % 3)}
        for n in range(70)
    ],
    "licenses": [],
    "categories": [{"id": 1, "name": "dent"}],
}
FORMS: dict[str, Callable[[Any], str]] = {
    "one line": json.dumps,
    "indented": lambda value: json.dumps(value, indent=2),
    "a line each": lambda value: json.dumps(value).replace('}, {"id', '},\n{"id').replace('[{"id', '[\n{"id'),
    "Windows": lambda value: json.dumps(value, indent=1, ensure_ascii=False).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("block", [2, 7, 64, 1 << 20])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_it_is_the_same_document(
    tmp_path: Path, form: Callable[[Any], str], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "_BLOCK", block)
    (tmp_path / "a.json").write_bytes(form(DOCUMENT).encode())
    found = open_sliced(tmp_path / "a.json")
    assert found is not None
    assert isinstance(found["annotations"], Slices)
    assert {name: list(value) if isinstance(value, Slices) else value for name, value in found.items()} == DOCUMENT
    assert found["images"][3] == DOCUMENT["images"][3]
    part = found["annotations"].part([4, 60])
    sent = pickle.loads(pickle.dumps(part))  # noqa: S301 - as it goes to another process
    assert list(part) == list(sent) == [DOCUMENT["annotations"][4], DOCUMENT["annotations"][60]]
    assert repr(part) == repr(list(part))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text.replace('"images": [', '"images": [,'),
        lambda text: text.replace("}, {", "},, {"),
        lambda text: text.replace('"file_name": "3,', '"name": "3,'),
        lambda text: text.replace('"licenses": []', '"images": []'),
        lambda text: text.replace('"licenses": []', '"licenses": NaN'),
        lambda text: text.replace('"annotations": [', '"annotations": [5, '),
        lambda text: "\ufeff" + text,
    ],
)
def test_what_is_not_as_it_should_be_is_read_whole(tmp_path: Path, change: Callable[[str], str]) -> None:
    (tmp_path / "a.json").write_text(change(json.dumps(DOCUMENT)), encoding="utf-8")
    assert open_sliced(tmp_path / "a.json") is None


def seen(images: Iterable[LabelledImage]) -> list[Any]:
    return [(image.key, one.label, one.bbox, one.region.tobytes()) for image in images for one in image.instances]


def test_trees_are_read_alike(trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(read_labels(trees / "coco"))
    digests = [record.label_digest() for record in read_labels(trees / "coco").records]
    reports = [verify(trees / kind) for kind in ("coco", "panoptic")]
    monkeypatch.setattr(document, "_LARGE", 0)
    tree = read_labels(trees / "coco")
    assert isinstance(tree.records[0].payload[1], Part)
    assert seen(tree) == seen(whole)
    assert [record.label_digest() for record in tree.records] == digests
    assert [verify(trees / kind) for kind in ("coco", "panoptic")] == reports


def test_a_file_that_changes_meanwhile_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(DOCUMENT))
    found = open_sliced(tmp_path / "a.json")
    assert found is not None
    (tmp_path / "a.json").write_text(json.dumps(DOCUMENT, indent=3))
    with pytest.raises(ToolkitError, match=r"a\.json: was changed while it was read"):
        list(found["annotations"])
