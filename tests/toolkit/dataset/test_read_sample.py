"""One sample's files: what is in them, and everything that is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from toolkit.dataset.inspection import inspect_sample, read_sample
from toolkit.dataset.samples import MaskFile, Sample, class_names, image_class
from toolkit.errors import BadInputError, Problem
from toolkit.imaging.images import ImageHeader, encode_map
from toolkit.imaging.masks import read_mask

Pixels = npt.NDArray[np.uint8]


def marked(x: int, y: int, value: int = 255, width: int = 8, height: int = 6) -> Pixels:
    mask = np.zeros((height, width), np.uint8)
    mask[y, x] = value
    return mask


def sample(folder: Path, *masks: Pixels | bytes, image: Pixels | bytes | None = None) -> Sample:
    """A sample on disk; the image is 8 x 6 unless given."""
    contents = [marked(0, 0) if image is None else image, *masks]
    paths = [folder / name for name in ["000.png", *(f"000_mask{number}.png" for number in range(len(masks)))]]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content if isinstance(content, bytes) else encode_map(content))
    return Sample("nut/test/dent/000", paths[0], tuple(paths[1:]), "nut", "dent" if masks else "good", "test")


def test_a_good_sample_has_a_size_and_no_mask(tmp_path: Path) -> None:
    found = read_sample(sample(tmp_path))
    assert (found.header, found.masks) == (ImageHeader(8, 6, 1), {})


@pytest.mark.parametrize(
    "masks", [[marked(2, 3)], [marked(2, 3), marked(7, 5)], [marked(2, 3), marked(2, 3, 1), marked(0, 0, 1)]]
)
def test_the_mask_is_the_union_of_all(tmp_path: Path, masks: list[Pixels]) -> None:
    found = read_sample(sample(tmp_path, *masks))
    assert list(found.masks) == ["dent"]
    assert np.array_equal(found.marked(), np.any(masks, axis=0))


def test_an_empty_mask_beside_another_is_no_fault(tmp_path: Path) -> None:
    found = read_sample(sample(tmp_path, np.zeros((6, 8), np.uint8), marked(1, 1)))
    assert found.marked().sum() == 1


@pytest.mark.parametrize(
    ("masks", "image", "problems"),
    [
        ([np.zeros((6, 8), np.uint8)], None, [("000_mask0.png", "the mask of a defect image is all zero")]),
        ([marked(0, 0, width=7)], None, [("000_mask0.png", "is 7 x 6 pixels, its image ")]),
        ([marked(0, 0), marked(0, 0, height=9)], None, [("000_mask1.png", "is 8 x 9 pixels, its image ")]),
        ([marked(0, 0, 9)], None, [("000_mask0.png", "grey values in a mask that should be binary (9)")]),
        ([marked(0, 0)], b"", [("000.png", "the file is empty (0 bytes)")]),
        (
            [b"", marked(0, 0, 9), marked(0, 0)],
            b"no image",
            [
                ("000.png", "not a readable image"),
                ("000_mask0.png", "the file is empty"),
                ("000_mask1.png", "grey values"),
            ],
        ),
    ],
)
def test_everything_that_is_wrong_is_said(
    tmp_path: Path, masks: list[Pixels | bytes], image: bytes | None, problems: list[tuple[str, str]]
) -> None:
    bad = sample(tmp_path, *masks, image=image)
    found = inspect_sample(bad)
    with pytest.raises(BadInputError) as caught:
        read_sample(bad)
    assert caught.value.problems == found
    assert [Path(problem.file).name for problem in found] == [name for name, _ in problems]
    assert all(problem.problem.startswith(start) for problem, (_, start) in zip(found, problems, strict=True))
    assert all(isinstance(problem, Problem) and problem.remedy for problem in found)


def test_both_files_are_named_where_sizes_differ(tmp_path: Path) -> None:
    (problem,) = inspect_sample(sample(tmp_path, marked(0, 0, width=7)))
    assert problem.problem == f"is 7 x 6 pixels, its image {tmp_path / '000.png'} is 8 x 6"


@pytest.mark.parametrize(("threshold", "faults"), [(9, 0), (10, 1), (None, 1)])
def test_a_threshold_decides(tmp_path: Path, threshold: int | None, faults: int) -> None:
    assert len(inspect_sample(sample(tmp_path, marked(0, 0, 9)), threshold)) == faults


def test_a_sound_sample_has_no_problems(tmp_path: Path) -> None:
    assert inspect_sample(sample(tmp_path, marked(1, 2))) == ()


def test_masks_of_several_classes_stay_apart(tmp_path: Path) -> None:
    ids = np.zeros((6, 8), np.uint8)
    ids[1, 1:3], ids[4, 4], ids[5, 5] = 3, 7, 200
    plain = sample(tmp_path, ids)
    path = plain.masks[0].path
    masks = (MaskFile(path, (3,), label="dent"), MaskFile(path, (7, 9), label="rust"), MaskFile(path, threshold=200))
    several = replace(plain, masks=masks, defect="other", group="item 4")
    found = read_sample(several)
    assert {label: int((mask.pixels() > 0).sum()) for label, mask in found.masks.items()} == {
        "dent": 2,
        "rust": 1,
        "other": 1,
    }
    assert found.marked().sum() == 4
    assert several.labels == ("dent", "other", "rust")
    assert class_names([several], "defect") == ["dent", "other", "rust"]
    assert image_class(replace(several, defect=""), "defect") == "combined"
    assert class_names([replace(several, kind="unlabelled")], "defect") == []


def several(folder: Path, content: bytes, reading: Any, *values: int) -> Sample:
    """A sample of one mask file, in which each value is a class."""
    plain = sample(folder, content)
    files = tuple(MaskFile(Path(plain.masks[0]), (value,), None, f"class {value}", reading) for value in values)
    return replace(plain, masks=files)


@pytest.mark.parametrize("form", ["grey", "with class 0", "16 bits", "palette", "colours", "turned"])
def test_a_file_of_several_classes_is_decoded_once(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = (0, 1, 4) if form == "with class 0" else (1, 2, 4)
    ids = marked(2, 3, 1) + marked(3, 3, 2) + marked(5, 1, 4)
    image = Image.fromarray(ids.astype(np.uint16) if form == "16 bits" else ids, "P" if form == "palette" else None)
    if form == "palette":
        image.putpalette([0, 0, 0, 9, 9, 9, 40, 0, 0, 0, 40, 0, 0, 0, 99])
    reading = "values"
    if form == "colours":
        image, reading, values = Image.fromarray(np.dstack([ids] * 3)), "colours", (0x010101, 0x020202, 0x040404)
    exif = Image.Exif()
    exif[0x0112] = 3 if form == "turned" else 1
    buffer = BytesIO()
    image.save(buffer, "PNG", exif=exif)
    one = several(tmp_path, buffer.getvalue(), reading, *values)
    alone = {file.label: read_mask(file.path, None, file.values, reading) for file in one.masks}
    opened = []
    monkeypatch.setattr("toolkit.imaging.masks.read_file", lambda path: (opened.append(path), path.read_bytes())[1])
    found = read_sample(one)
    assert opened == [one.masks[0].path]
    assert list(found.masks) == list(alone)
    for label, mask in found.masks.items():
        assert np.array_equal(mask.pixels(), alone[label].pixels())
        assert mask.by_exif == alone[label].by_exif == (form == "turned")


def test_a_damaged_file_of_several_classes_is_named_once(tmp_path: Path) -> None:
    (problem,) = inspect_sample(several(tmp_path, b"no image", "values", 1, 2, 3))
    assert problem.file.endswith("000_mask0.png")


def test_a_mask_that_stands_twice_counts_once(tmp_path: Path) -> None:
    plain = sample(tmp_path, marked(2, 3))
    found = read_sample(replace(plain, masks=plain.masks * 2))
    assert np.array_equal(found.marked(), marked(2, 3) > 0)
