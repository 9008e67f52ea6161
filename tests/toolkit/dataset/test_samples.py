"""The index: order, parts of it, class names, problems; and the names that files get."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.commands import make_dataset
from toolkit.dataset.dataset import Dataset
from toolkit.dataset.keys import file_name, key_of_file_name
from toolkit.dataset.layouts import load_dataset
from toolkit.dataset.samples import Sample
from toolkit.errors import Problem, ToolkitError
from toolkit.imaging.images import encode_map

PARTS = st.lists(st.text(st.characters(exclude_characters="/"), max_size=8), min_size=1, max_size=4)
AWKWARD = st.lists(st.text("_%25FC\\a", max_size=6), min_size=1, max_size=4)


@given(parts=st.one_of(PARTS, AWKWARD))
@example(parts=["screw", "test", "scratch_head", "000"])
@example(parts=["_", "__", "___", "%5F"])
@example(parts=["", "a_", "_b", "%25_"])
def test_the_key_of_a_file_name_is_the_key(parts: list[str]) -> None:
    name = file_name("/".join(parts))
    assert key_of_file_name(name) == "/".join(parts)
    assert "/" not in name


@given(first=AWKWARD, second=AWKWARD)
def test_different_keys_have_different_file_names(first: list[str], second: list[str]) -> None:
    assert (file_name("/".join(first)) == file_name("/".join(second))) == (first == second)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("screw/test/scratch_head/000", "screw__test__scratch_head__000"),
        ("a b/test/größe/1.5", "a b__test__größe__1.5"),
        ("a/test/x__y/0", "a__test__x%5F%5Fy__0"),
        ("a/test/_x_/50%", "a__test__%5Fx%5F__50%25"),
        ("a/test/x\\y/\\", "a__test__x%5Cy__%5C"),
    ],
)
def test_file_names_stay_legible(key: str, name: str) -> None:
    assert file_name(key) == name


def sample(category: str, split: str, defect: str, stem: str, root: Path = Path("/data")) -> Sample:
    home = root / category
    masks = () if defect == "good" else (home / "ground_truth" / defect / f"{stem}_mask.png",)
    key = f"{category}/{split}/{defect}/{stem}"
    return Sample(key, home / split / defect / f"{stem}.png", masks, category, defect, split)


PROBLEMS = [
    Problem("/data/nut/test/dent/009.png", "a defect image without a mask"),
    Problem("/data/nut 2/test/dent/009.png", "a defect image without a mask"),
]
NOTES = ["nut differs from what was published: it is smaller", "nut 2 differs from what was published: it is larger"]


@pytest.fixture
def dataset() -> Dataset:
    samples = [
        sample("nut", "train", "good", "000"),
        sample("nut", "test", "dent", "000"),
        sample("nut 2", "test", "scratch", "000"),
        sample("nut 2", "test", "dent", "001"),
    ]
    return Dataset(samples, root=Path("/data"), layout="mvtec", layout_problems=PROBLEMS, notes=NOTES)


def test_a_dataset_is_a_sequence_in_the_order_of_the_keys(dataset: Dataset) -> None:
    found = [each.key for each in dataset]
    assert found == sorted(found)
    assert [each.key for each in dataset[1:3]] == found[1:3]
    assert dataset[-1].key == found[-1]
    assert (len(dataset), dataset[0] in dataset) == (4, True)
    assert repr(dataset) == "Dataset('/data', layout='mvtec', samples=4)"


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        ("defect", ["dent", "scratch"]),
        ("binary", ["defect"]),
        ("category", ["nut", "nut 2"]),
        ("category-defect", ["nut 2-dent", "nut 2-scratch", "nut-dent"]),
    ],
)
def test_classes_are_named_by_a_scheme(dataset: Dataset, scheme: str, names: list[str]) -> None:
    assert dataset.classes(scheme) == names  # type: ignore[arg-type]


def test_an_unknown_scheme_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ToolkitError, match="classes: unknown scheme 'colour'; use one of defect, binary, category"):
        dataset.classes("colour")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "count", "which"), [(["nut"], 2, [0]), (["nut 2"], 2, [1]), (["nut", "nut 2"], 4, [0, 1])]
)
def test_only_some_categories(dataset: Dataset, names: list[str], count: int, which: list[int]) -> None:
    part = dataset.only(names)
    assert (part.categories, len(part)) == (names, count)
    assert set(part.layout_problems) == {PROBLEMS[index] for index in which}
    assert list(part.notes) == [NOTES[index] for index in which]
    assert (part.root, part.layout) == (dataset.root, dataset.layout)


def test_masks_that_are_missing_are_told_of_the_categories_that_are_left(tmp_path: Path) -> None:
    for category in ("nut", "screw"):
        make_dataset(tmp_path, category)
    gone = tmp_path / "nut/ground_truth/dent/000_mask.png"
    gone.unlink()
    dataset = load_dataset(tmp_path)
    for part in (dataset, dataset.only(["nut"])):
        assert [problem.remedy for problem in part.named_problems] == [f"put its mask at {gone}"]
        assert f"put its mask at {gone}" in part._repr_html_()
    assert dataset.only(["screw"]).named_problems == ()


def test_a_category_that_is_not_there_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ToolkitError) as caught:
        dataset.only(["nut", "bolt"])
    assert str(caught.value) == "/data: has no category 'bolt'; it has: nut, nut 2"


def test_without_some_samples(dataset: Dataset) -> None:
    rest = dataset.without(["nut/test/dent/000", "unknown"])
    assert [each.key for each in rest] == ["nut 2/test/dent/001", "nut 2/test/scratch/000", "nut/train/good/000"]
    assert len(dataset) == 4
    assert rest.layout_problems == ()


def test_problems_are_those_of_the_names_and_then_of_the_files(tmp_path: Path) -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[1, 2] = 255
    for name, data in {
        "nut/test/dent/000.png": encode_map(mask),
        "nut/test/dent/001.png": encode_map(mask),
        "nut/test/dent/002.png": encode_map(mask),
        "nut/test/good/000.png": b"",
        "nut/ground_truth/dent/000_mask.png": encode_map(mask),
        "nut/ground_truth/dent/001_mask.png": encode_map(mask[:3]),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    dataset = load_dataset(tmp_path)
    assert [
        (Path(p.file).relative_to(tmp_path).as_posix(), p.problem.split(" (")[0][:30]) for p in dataset.problems
    ] == [
        ("nut/test/dent/002.png", "a defect image without a mask"),
        ("nut/ground_truth/dent/001_mask.png", "is 6 x 3 pixels, its image " + str(tmp_path)[:3]),
        ("nut/test/good/000.png", "the file is empty"),
    ]
    assert dataset.problems is dataset.problems
