"""Splits: shares and counts, twins, repeatability, and the CSV file in which they are saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.dataset.samples import MaskFile, Sample
from toolkit.dataset.splits import STRATEGIES, Split, find_duplicates, read_split, split_dataset, write_split
from toolkit.errors import BadInputError, ToolkitError

SIZES = {"bolt": {"good": 40, "dent": 13, "scratch": 8}, "nut": {"good": 25, "crack": 5}}


def sample(folder: Path, key: str, content: str | None = None) -> Sample:
    """A sample whose image holds its key, or the given content."""
    category, split, defect, stem = key.split("/")
    image = folder / category / split / defect / f"{stem}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_text(key if content is None else content)
    return Sample(key, image, () if defect == "good" else (image,), category, defect, split)


def make(folder: Path, sizes: dict[str, dict[str, int]]) -> list[Sample]:
    return [
        sample(folder, f"{category}/{'train' if defect == 'good' else 'test'}/{defect}/{number:03}")
        for category, classes in sizes.items()
        for defect, size in classes.items()
        for number in range(size)
    ]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return make(tmp_path_factory.mktemp("data"), SIZES)


def counts(dataset: Iterable[Sample], split: Split) -> dict[str, Counter[str]]:
    """category/defect -> subset -> images, of the samples in the split."""
    found: dict[str, Counter[str]] = {}
    for each in dataset:
        if each.key in split:
            found.setdefault(f"{each.category}/{each.defect}", Counter())[split[each.key]] += 1
    return found


def test_native_keeps_the_folders(dataset: list[Sample]) -> None:
    split = split_dataset(dataset)
    assert split == {each.key: each.split for each in dataset}
    assert (split.strategy, split.settings) == ("native", {})


def test_native_refuses_a_folder_that_is_no_subset(tmp_path: Path) -> None:
    odd = sample(tmp_path, "nut/holdout/good/000")
    with pytest.raises(ToolkitError, match=r"000.png: belongs to no subset \('holdout'\); "):
        split_dataset([odd])


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.2), (0.25, 0.25), (0.0, 0.3), (0.3, 0.0), (0.0, 0.0), (0.45, 0.5)])
@pytest.mark.parametrize("seed", [0, 7])
def test_stratified_draws_the_shares_from_every_class(
    dataset: list[Sample], val: float, test: float, seed: int
) -> None:
    split = split_dataset(dataset, "stratified", val=val, test=test, seed=seed)
    assert split.keys() == {each.key for each in dataset}
    for name, subsets in counts(dataset, split).items():
        size = subsets.total()
        for subset, share in {"val": val, "test": test}.items():
            assert abs(subsets[subset] - size * share) < 1, (name, subsets)
            assert (subsets[subset] > 0) == (share > 0)
        assert subsets["train"] >= 1


def test_stratified_takes_a_tenth_and_a_fifth_unless_told_otherwise(dataset: list[Sample]) -> None:
    split = split_dataset(dataset, "stratified")
    assert split == split_dataset(dataset, "stratified", val=0.1, test=0.2, seed=0)
    assert split.settings == {"seed": 0, "val": 0.1, "test": 0.2}


@pytest.mark.parametrize("size", [3, 4, 5])
def test_stratified_gives_every_subset_of_a_tiny_class_an_image(tmp_path: Path, size: int) -> None:
    samples = make(tmp_path, {"nut": {"dent": size}})
    for shares in ({"val": 0.1, "test": 0.2}, {"val": 0.4, "test": 0.5}):
        (subsets,) = counts(samples, split_dataset(samples, "stratified", **shares)).values()
        assert set(subsets) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("size", "shares", "message"),
    [
        (
            2,
            {},
            'nut/dent: has 2 images, too few for 3 subsets; set val or test to 0, or leave it out with leave_out="dent',
        ),
        (1, {"val": 0.0}, "nut/dent: has 1 image, too few for 2 subsets; set val and test to 0, or leave it out"),
    ],
)
def test_stratified_refuses_a_class_that_is_too_small(
    tmp_path: Path, size: int, shares: dict[str, float], message: str
) -> None:
    samples = make(tmp_path, {"nut": {"dent": size, "good": 9}})
    with pytest.raises(ToolkitError) as caught:
        split_dataset(samples, "stratified", **shares)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("per_class", "test_per_class"), [(5, 2), (3, 1), (1, 0), (4, 3)])
def test_uniform_takes_so_many_of_every_class_and_nothing_else(
    dataset: list[Sample], per_class: int, test_per_class: int
) -> None:
    split = split_dataset(dataset, "uniform", per_class=per_class, test_per_class=test_per_class, seed=3)
    found = counts(dataset, split)
    assert found.keys() == {"bolt/good", "bolt/dent", "bolt/scratch", "nut/good", "nut/crack"}
    wanted = +Counter({"train": per_class - test_per_class, "test": test_per_class})
    assert all(subsets == wanted for subsets in found.values())
    assert len(split) == 5 * per_class


def test_uniform_refuses_a_class_that_is_too_small(dataset: list[Sample]) -> None:
    with pytest.raises(ToolkitError) as caught:
        split_dataset(dataset, "uniform", per_class=6)
    message = (
        'has 5 distinct images, per_class asks for 6; use per_class=5 or less, or leave it out with leave_out="crack"'
    )
    assert str(caught.value) == f"nut/crack: {message}"


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_the_folds_share_out_the_dataset(dataset: list[Sample], folds: int) -> None:
    splits = [split_dataset(dataset, "kfold", folds=folds, fold=fold, seed=1) for fold in range(folds)]
    tested = Counter(key for split in splits for key, subset in split.items() if subset == "test")
    assert tested == Counter(each.key for each in dataset)
    assert all(set(split.values()) == {"train", "test"} for split in splits)
    for name in counts(dataset, splits[0]):
        sizes = [counts(dataset, split)[name]["test"] for split in splits]
        assert max(sizes) - min(sizes) <= 1, name
    assert max(len(list(split)) for split in splits) == len(dataset)


def test_kfold_takes_validation_images_from_what_is_not_tested(dataset: list[Sample]) -> None:
    with_val = split_dataset(dataset, "kfold", folds=4, fold=2, val=0.25)
    without = split_dataset(dataset, "kfold", folds=4, fold=2)
    assert {key for key in without if without[key] == "test"} == {key for key in with_val if with_val[key] == "test"}
    for subsets in counts(dataset, with_val).values():
        rest = subsets["train"] + subsets["val"]
        assert abs(subsets["val"] - rest / 4) < 1
        assert subsets["val"] >= 1


@pytest.mark.parametrize("val", [0.5, 0.9])
def test_kfold_leaves_something_of_every_class_to_train_on(tmp_path: Path, val: float) -> None:
    samples = make(tmp_path, {"nut": {"good": 9, "dent": 2, "crack": 3}})
    found = counts(samples, split_dataset(samples, "kfold", folds=2, val=val))
    assert all(subsets["train"] >= 1 for subsets in found.values()), found


def test_kfold_refuses_a_class_that_is_too_small(dataset: list[Sample]) -> None:
    with pytest.raises(ToolkitError) as caught:
        split_dataset(dataset, "kfold", folds=6)
    message = 'has 5 images, too few for 6 folds; use folds=5 or less, or leave it out with leave_out="crack"'
    assert str(caught.value) == f"nut/crack: {message}"


NUMBERS: list[tuple[str, dict[str, Any], str]] = [
    ("stratified", {"val": 0.5, "test": 0.5}, "val=0.5, test=0.5: the shares do not add up"),
    ("stratified", {"val": -0.1}, "val=-0.1"),
    ("stratified", {"test": 1.0}, "val=0.1, test=1"),
    ("stratified", {"test": float("nan")}, "val=0.1, test=nan"),
    ("uniform", {"per_class": 0}, "per_class=0"),
    ("uniform", {"per_class": 2, "test_per_class": 2}, "per_class=2 test_per_class=2: leaves nothing to train on"),
    ("uniform", {"per_class": 2, "test_per_class": -1}, "per_class=2 test_per_class=-1"),
    ("kfold", {"folds": 1}, "folds=1 fold=0: no such fold"),
    ("kfold", {"folds": 3, "fold": 3}, "folds=3 fold=3: no such fold"),
    ("kfold", {"folds": 3, "fold": -1}, "folds=3 fold=-1: no such fold"),
    ("kfold", {"val": 1.0}, "val=1"),
    ("stratified", {"seed": -1}, "seed"),
    ("uniform", {"per_class": 3, "seed": -1}, "seed"),
    ("kfold", {"seed": -1}, "seed"),
    ("random", {}, "strategy: 'random' is unknown; use one of native, stratified, uniform, kfold"),
]


@pytest.mark.parametrize(("strategy", "numbers", "message"), NUMBERS)
def test_numbers_that_make_no_split_are_refused(
    dataset: list[Sample], strategy: str, numbers: dict[str, Any], message: str
) -> None:
    with pytest.raises(ToolkitError) as caught:
        split_dataset(dataset, strategy, **numbers)
    assert str(caught.value).startswith(message)
    assert caught.value.problems[0].remedy


DRAWN: list[tuple[str, dict[str, Any]]] = [
    ("stratified", {}),
    ("uniform", {"per_class": 4}),
    ("kfold", {"val": 0.2}),
]


@pytest.mark.parametrize(("strategy", "numbers"), DRAWN)
def test_a_seed_gives_one_split_in_any_order(dataset: list[Sample], strategy: str, numbers: dict[str, Any]) -> None:
    first = split_dataset(dataset, strategy, seed=5, **numbers)
    assert first == split_dataset(dataset[::-1], strategy, seed=5, **numbers)
    assert first != split_dataset(dataset, strategy, seed=6, **numbers)
    assert list(first) == sorted(first)
    assert first.settings["seed"] == 5


@pytest.mark.parametrize(("strategy", "numbers"), DRAWN[:2])
def test_a_product_is_split_as_if_it_were_alone(dataset: list[Sample], strategy: str, numbers: dict[str, Any]) -> None:
    together = split_dataset(dataset, strategy, **numbers)
    for category in SIZES:
        alone = split_dataset([each for each in dataset if each.category == category], strategy, **numbers)
        assert alone == {key: subset for key, subset in together.items() if key.startswith(category)}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Twelve of two classes, of which three are one image, two in one class and one in the other; and a pair."""
    folder = tmp_path_factory.mktemp("twins")
    same = {"good/001": "a", "good/007": "a", "dent/003": "a", "dent/005": "b", "dent/009": "b"}
    return [
        sample(folder, f"nut/test/{defect}/{number:03}", same.get(f"{defect}/{number:03}"))
        for defect in ("good", "dent")
        for number in range(12)
    ]


TRIPLET = ["nut/test/dent/003", "nut/test/good/001", "nut/test/good/007"]
PAIR = ["nut/test/dent/005", "nut/test/dent/009"]


def test_twins_are_found_by_their_bytes(twins: list[Sample], dataset: list[Sample]) -> None:
    assert find_duplicates(twins) == [TRIPLET, PAIR]
    assert find_duplicates(dataset) == []


def test_links_to_one_file_are_twins(tmp_path: Path) -> None:
    first, second = sample(tmp_path, "nut/test/good/000"), sample(tmp_path, "nut/test/good/001")
    second.image.unlink()
    second.image.hardlink_to(first.image)
    assert find_duplicates([first, second]) == [[first.key, second.key]]


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    gone = sample(tmp_path, "nut/test/good/000")
    gone.image.unlink()
    with pytest.raises(ToolkitError) as caught:
        find_duplicates([gone])
    assert str(caught.value).startswith(f"{gone.image}: cannot be read (No such file or directory); ")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("strategy", "numbers"), [("stratified", {"val": 0.3, "test": 0.3}), ("kfold", {"folds": 3, "val": 0.3})]
)
def test_twins_share_a_subset(twins: list[Sample], strategy: str, numbers: dict[str, Any], seed: int) -> None:
    split = split_dataset(twins, strategy, seed=seed, **numbers)
    assert len(split) == len(twins)
    assert all(len({split[key] for key in group}) == 1 for group in (TRIPLET, PAIR))
    assert "2 set(s) of identical images each share a subset" in split.notes


@pytest.mark.parametrize("seed", range(12))
def test_uniform_takes_one_of_twins(twins: list[Sample], seed: int) -> None:
    split = split_dataset(twins, "uniform", per_class=9, test_per_class=3, seed=seed)
    assert all(len(split.keys() & set(group)) <= 1 for group in (TRIPLET, PAIR))
    assert counts(twins, split) == {name: {"train": 6, "test": 3} for name in ("nut/good", "nut/dent")}


def test_a_new_split_of_test_images_says_that_it_is_new(dataset: list[Sample]) -> None:
    (note,) = split_dataset(dataset, "stratified").notes
    assert "do not compare with those on the dataset's own test set" in note
    assert split_dataset(dataset).notes == ()


@pytest.mark.parametrize(("strategy", "numbers"), [("native", {}), *DRAWN])
def test_a_split_is_read_as_it_was_written(
    dataset: list[Sample], tmp_path: Path, strategy: str, numbers: dict[str, Any]
) -> None:
    path = tmp_path / "new" / "split.csv"
    split = split_dataset(dataset, strategy, **numbers)
    write_split(split, path)
    again = read_split(path, dataset)
    assert (again, again.strategy) == (split, strategy)
    assert again.settings == {name: str(value) for name, value in split.settings.items()}
    first = path.read_bytes()
    write_split(again, path)
    assert path.read_bytes() == first


def test_the_file_says_how_it_was_made(dataset: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    write_split(split_dataset(dataset, "stratified", seed=4), path)
    first, second, *rows = path.read_text().splitlines()
    assert first.startswith("# strategy=stratified seed=4 val=0.1 test=0.2")
    assert second == "key,subset"
    assert rows == sorted(rows)
    assert len(rows) == len(dataset)
    write_split({dataset[0].key: "val"}, path)
    assert path.read_text().startswith("# strategy=file")


NAMES = st.text(st.characters(exclude_characters="/\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=6)


@given(stems=st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_any_key_comes_through_the_file(tmp_path_factory: pytest.TempPathFactory, stems: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    samples = [Sample(f"{stem}/test/good/{stem}", path, (), stem, "good", "test") for stem in stems]
    split = split_dataset(samples)
    write_split(split, path)
    assert read_split(path, samples) == split


@pytest.mark.parametrize("stem", ["a,b", '"quoted"', '","', "#1", " 000 ", "it's: größer", "<script>", "\u2028", "key"])
def test_awkward_keys_come_through_the_file(tmp_path: Path, stem: str) -> None:
    samples = [Sample(f"{stem}/test/good/{stem}", tmp_path, (), stem, "good", "test")]
    write_split(split_dataset(samples), tmp_path / "split.csv")
    assert list(read_split(tmp_path / "split.csv", samples)) == [samples[0].key]


@pytest.fixture
def few(tmp_path: Path) -> list[Sample]:
    return [sample(tmp_path, f"nut/test/good/{number:03}") for number in range(3)]


ROWS = ["nut/test/good/000,train", "nut/test/good/001,val", "nut/test/good/002,test"]


def saved(folder: Path, *rows: str) -> Path:
    path = folder / "split.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    "rows",
    [ROWS, ["key,subset", *ROWS], ["# by hand", "key, subset", "", *ROWS], [row.replace(",", ", ") for row in ROWS]],
)
def test_a_split_may_be_written_by_hand(few: list[Sample], tmp_path: Path, rows: list[str]) -> None:
    split = read_split(saved(tmp_path, *rows), few)
    assert list(split.values()) == ["train", "val", "test"]
    assert split.strategy == "file"


def test_samples_may_be_left_out_by_hand(few: list[Sample], tmp_path: Path) -> None:
    split = read_split(saved(tmp_path, ROWS[0], ROWS[1], "nut/test/good/002,none"), few)
    assert split == {"nut/test/good/000": "train", "nut/test/good/001": "val"}


@pytest.mark.parametrize(
    ("rows", "messages"),
    [
        ([*ROWS, "nut/test/good/9,val"], [":4: the key 'nut/test/good/9' is not in the dataset"]),
        ([*ROWS, ROWS[0]], [":4: the key 'nut/test/good/000' stands twice"]),
        (ROWS[1:], [": the key 'nut/test/good/000' is missing"]),
        ([*ROWS[:2], "nut/test/good/002,tests"], [":3: unknown subset 'tests'; use train, val, test"]),
        (
            ["key,subset", *ROWS[:2], ROWS[1], "x,val"],
            [":4: the key 'nut/test/good/001' stands twice", ":5: the key 'x' is", ": the key 'nut/test/good/002' is"],
        ),
        ([ROWS[0], "nut/test/good/001", *ROWS[2:]], [":2: is not of the form key,subset"]),
        ([ROWS[0] + ",x", *ROWS[1:]], [":1: is not of the form key,subset"]),
        (["# strategy=stratified seed=0", "key,subset"], [": assigns no samples"]),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    few: list[Sample], tmp_path: Path, rows: list[str], messages: list[str]
) -> None:
    path = saved(tmp_path, *rows)
    with pytest.raises(ToolkitError) as caught:
        read_split(path, few)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(messages)
    assert all(line.startswith(f"{path}{start}") for line, start in zip(lines, messages, strict=True))
    assert all(problem.remedy for problem in caught.value.problems)


def test_a_missing_file_is_named(few: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"gone.csv: cannot be read"):
        read_split(tmp_path / "gone.csv", few)


def test_a_uniform_split_may_leave_samples_out_but_lose_no_line(dataset: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    write_split(split_dataset(dataset, "uniform", per_class=3), path)
    lines = path.read_text().splitlines()
    assert len(read_split(path, dataset)) == 15
    saved(tmp_path, *lines[:-2])
    with pytest.raises(BadInputError) as caught:
        read_split(path, dataset)
    assert str(caught.value) == f"{path}: 2 of its 15 lines are missing; make it again"


@pytest.mark.parametrize("line", ["x" * 150_000 + ",train", f"{'x' * 3000},train", f"KEY,{'x' * 3000}"], ids=len)
def test_what_is_too_long_is_not_told_whole(few: list[Sample], tmp_path: Path, line: str) -> None:
    path = saved(tmp_path, "key,subset", f"{few[1].key},train", line.replace("KEY", few[0].key))
    with pytest.raises(ToolkitError, match=r"split\.csv:3: ") as caught:
        read_split(path, few)
    assert all(len(str(problem)) < 1000 for problem in caught.value.problems)


@pytest.mark.parametrize("count", ["²", "٣", "9" * 5000, "-1"])
def test_a_count_of_lines_that_is_no_number_counts_nothing(few: list[Sample], tmp_path: Path, count: str) -> None:
    rows = [f"{sample.key},train" for sample in few]
    path = saved(tmp_path, f"# strategy=uniform samples={count}", "key,subset", *rows[1:])
    with pytest.raises(BadInputError, match=f"the key '{few[0].key}' is missing"):
        read_split(path, few)


def test_every_strategy_is_known(dataset: list[Sample]) -> None:
    for strategy in STRATEGIES:
        assert split_dataset(dataset, strategy, per_class=4).strategy == strategy


def test_sets_of_classes_are_shared_out_as_sets(tmp_path: Path) -> None:
    """Of images that show two classes some are test; sets of too few images are taken together."""
    masks = {"dent": ["a"], "scratch": ["b"], "dent+scratch": ["a", "b"], "dent+rust": ["a", "c"]}
    names = {"a": "dent", "b": "scratch", "c": "rust"}
    samples = []
    for label, shown in masks.items():
        for number in range(2 if "rust" in label else 10):
            path = tmp_path / f"{label}{number}.png"
            path.write_bytes(path.name.encode())
            files = tuple(MaskFile(path, (place,), None, names[one]) for place, one in enumerate(shown))
            samples.append(Sample(path.name, path, files, "part", "" if len(shown) > 1 else label, "train"))
    split = split_dataset(samples, "stratified", val=0, test=0.2, seed=0)
    tested = Counter(key.rstrip(".png0123456789") for key, subset in split.items() if subset == "test")
    assert tested == {"dent": 2, "scratch": 2, "dent+scratch": 2, "dent+rust": 1}
