"""What belongs together stays together: groups of a layout, patterns over keys; and nothing else moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import ROOT
from toolkit import load_dataset, write_product
from toolkit.dataset.samples import MaskFile, Sample
from toolkit.dataset.splits import Split, read_split, split_dataset, write_split
from toolkit.errors import BadInputError, ToolkitError

DRAWN: list[tuple[str, dict[str, Any]]] = [
    ("stratified", {"val": 0.2, "test": 0.2}),
    ("stratified", {"val": 0.0, "test": 0.3}),
    ("uniform", {"per_class": 4, "test_per_class": 1}),
    ("kfold", {"folds": 3, "fold": 1}),
    ("kfold", {"folds": 3, "fold": 2, "val": 0.25}),
]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Sample]:
    def made(key: str, defect: str = "dent", group: str = "", category: str = "nut", **more: Any) -> Sample:
        image = tmp_path / f"{key}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_text(more.pop("content", f"{category} {key}"))
        return Sample(key, image, (), category, defect, more.pop("split", "train"), group, **more)

    return made


def subsets_of_groups(samples: list[Sample], split: Split, group: Callable[[Sample], str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for sample in samples:
        if sample.key in split:
            found.setdefault(group(sample), set()).add(split[sample.key])
    return found


PINNED: list[tuple[str, str, dict[str, Any]]] = [
    ("native", "native", {}),
    ("stratified-0", "stratified", {}),
    ("stratified-3", "stratified", {"val": 0.25, "test": 0.25, "seed": 3}),
    ("uniform-1", "uniform", {"per_class": 5, "test_per_class": 2, "seed": 1}),
    ("kfold-2", "kfold", {"folds": 3, "fold": 1, "val": 0.2, "seed": 2}),
]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("product")
    write_product(folder, image_size=64, per_class=6, train_good=12, seed=0)
    return folder


@pytest.mark.parametrize(("file", "strategy", "numbers"), PINNED, ids=[file for file, _, _ in PINNED])
def test_without_groups_a_seed_draws_what_it_always_drew(
    product: Path, tmp_path: Path, file: str, strategy: str, numbers: dict[str, Any]
) -> None:
    write_split(split_dataset(load_dataset(product), strategy, **numbers), tmp_path / "split.csv")
    assert (tmp_path / "split.csv").read_bytes() == (ROOT / f"tests/old/0.1.0/splits/{file}.csv").read_bytes()


@pytest.mark.parametrize(("strategy", "numbers"), DRAWN)
@pytest.mark.parametrize("seed", range(4))
def test_an_item_of_the_layout_is_never_torn_apart(
    make: Callable[..., Sample], strategy: str, numbers: dict[str, Any], seed: int
) -> None:
    samples = [
        make(f"{defect}{item:02}-{view}", defect, f"item{item}")
        for defect in ("dent", "good")
        for item in range(12)
        for view in range(1 + item % 3)
    ]
    split = split_dataset(samples, strategy, seed=seed, **numbers)
    assert all(len(found) == 1 for found in subsets_of_groups(samples, split, lambda one: one.group).values())
    assert any("group(s) of together" in note for note in split.notes)
    for defect in ("dent", "good"):
        counts = Counter(split[one.key] for one in samples if one.key in split and one.defect == defect)
        if strategy == "uniform":
            assert counts == {"train": 3, "test": 1}
        elif strategy == "stratified":
            size = 24
            assert all(abs(counts[name] - size * share) <= 2 for name, share in numbers.items()), counts
            assert all((counts[name] > 0) == (share > 0) for name, share in numbers.items())
        else:
            assert abs(counts["test"] - 8) <= 2


def test_items_of_two_categories_are_two(make: Callable[..., Sample]) -> None:
    samples = [
        make(f"{category}/{number}", group=f"item{number // 2}", category=category)
        for category in ("bolt", "nut")
        for number in range(12)
    ]
    split = split_dataset(samples, "stratified", val=0, test=0.5, seed=1)
    found = subsets_of_groups(samples, split, lambda one: one.category + one.group)
    assert all(len(subsets) == 1 for subsets in found.values())
    assert any(len(subsets) == 2 for subsets in subsets_of_groups(samples, split, lambda one: one.group).values())


def test_a_category_without_groups_is_drawn_as_if_it_were_alone(make: Callable[..., Sample]) -> None:
    plain = [make(f"bolt/{number}", category="bolt") for number in range(20)]
    grouped = [make(f"nut/{number}", group=str(number // 3)) for number in range(20)]
    together = split_dataset([*plain, *grouped], "stratified")
    alone = split_dataset(plain, "stratified")
    assert alone == {key: subset for key, subset in together.items() if key.startswith("bolt")}


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_over_groups_share_out_the_dataset(make: Callable[..., Sample], folds: int) -> None:
    samples = [make(f"{number}", ("dent", "good")[number % 2], str(number // 4)) for number in range(48)]
    splits = [split_dataset(samples, "kfold", folds=folds, fold=fold) for fold in range(folds)]
    tested = Counter(key for split in splits for key, subset in split.items() if subset == "test")
    assert tested == Counter(one.key for one in samples)
    sizes = [Counter(split.values())["test"] for split in splits]
    assert max(sizes) - min(sizes) <= 8


@given(
    sizes=st.lists(st.integers(1, 5), min_size=9, max_size=20),
    classes=st.integers(1, 3),
    seed=st.integers(0, 99),
    drawn=st.sampled_from([one for one in DRAWN if one[0] != "uniform"]),
)
def test_whatever_the_groups_none_is_torn(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    classes: int,
    seed: int,
    drawn: tuple[str, dict[str, Any]],
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    samples = []
    for item, size in enumerate(sizes):
        for view in range(size):
            image = folder / f"{item}-{view}"
            if not image.exists():
                image.write_text(f"{item} {view}")
            label = f"class{(item + view) % classes}"  # groups of several classes
            samples.append(Sample(f"{item}-{view}", image, (), "nut", label, "train", f"item{item}"))
    strategy, numbers = drawn
    groups = Counter(label for label, _ in {(one.defect, one.group) for one in samples})
    if min(groups.values()) < 3 - (numbers.get("val") == 0.0):
        with pytest.raises(ToolkitError, match="too few"):
            split_dataset(samples, strategy, seed=seed, **numbers)
        return
    split = split_dataset(samples, strategy, seed=seed, **numbers)
    assert split.keys() == {one.key for one in samples}
    assert all(len(found) == 1 for found in subsets_of_groups(samples, split, lambda one: one.group).values())
    assert split == split_dataset(samples[::-1], strategy, seed=seed, **numbers)


KEYS = [f"nut/test/dent/p{part:02}_{view}" for part in range(10) for view in "abc"]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{part}_*", lambda key: key[:-2]),
        ("{part:p\\d\\d}*", lambda key: key[:-2]),
        ("**/{part}_{:[abc]}", lambda key: key[:-2]),
        ("{category}/*/*/{part}_*", lambda key: key[:-2]),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_pattern_says_what_belongs_together(
    make: Callable[..., Sample], pattern: str, name: Callable[[str], str], seed: int
) -> None:
    samples = [make(key) for key in KEYS]
    split = split_dataset(samples, "stratified", val=0, test=0.4, group=pattern, seed=seed)
    found = subsets_of_groups(samples, split, lambda one: name(one.key))
    assert all(len(subsets) == 1 for subsets in found.values())
    assert set(split.values()) == {"train", "test"}
    assert split.settings["group"] == pattern


def test_a_key_that_the_pattern_does_not_fit_is_its_own_group(make: Callable[..., Sample]) -> None:
    samples = [make(key) for key in (*KEYS, "nut/test/dent/odd", "nut/test/dent/odder")]
    split = split_dataset(samples, "stratified", group="{part}_*")
    assert "2 key(s), such as 'nut/test/dent/odd', do not fit '{part}_*': each is a group of its own" in split.notes


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{part}-*", "fits none of the 30 keys, such as 'nut/test/dent/p00_a', 'nut/test/dent/p00_b'"),
        ("bolt/{part}_*", "against whole keys"),
        ("*_a", "names nothing that images can have in common"),
        ("{part", "a brace that is not closed"),
        ("{part:(}_*", "does not compile"),
        ("{}_*", "no name"),
    ],
)
def test_a_pattern_that_says_nothing_is_refused(make: Callable[..., Sample], pattern: str, said: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        split_dataset([make(key) for key in KEYS], "stratified", group=pattern)
    assert said in caught.value.with_flags
    assert caught.value.problems[0].remedy


def test_groups_go_with_what_is_drawn_alone(make: Callable[..., Sample]) -> None:
    with pytest.raises(ToolkitError, match="does not go with"):
        split_dataset([make(key) for key in KEYS], "native", group="{part}_*")


def test_twins_and_groups_hang_together(make: Callable[..., Sample]) -> None:
    """A pair of twins in two groups makes them one."""
    samples = [make(f"a{n}", group="a", content="same" if n == 0 else f"a{n}") for n in range(2)]
    samples += [make(f"b{n}", group="b", content="same" if n == 0 else f"b{n}") for n in range(2)]
    samples += [make(f"c{n}") for n in range(8)]
    for seed in range(6):
        split = split_dataset(samples, "stratified", val=0, test=0.4, seed=seed)
        assert len({split[key] for key in ("a0", "a1", "b0", "b1")}) == 1


@pytest.mark.parametrize(("strategy", "numbers"), [("native", {}), *DRAWN])
def test_what_has_no_label_is_in_no_subset(
    make: Callable[..., Sample], tmp_path: Path, strategy: str, numbers: dict[str, Any]
) -> None:
    samples = [make(f"{number:02}") for number in range(12)]
    samples += [make(f"private{number}", "", kind="unlabelled", split="test_private") for number in range(3)]
    split = split_dataset(samples, strategy, **numbers)
    assert not any(key.startswith("private") for key in split)
    assert "3 image(s) without a label are in no subset" in split.notes
    write_split(split, tmp_path / "split.csv")
    assert read_split(tmp_path / "split.csv", samples) == split
    with open(tmp_path / "split.csv", "a") as file:
        file.write("private0,none\nprivate1,train\n")
    with pytest.raises(BadInputError, match="'private1' has no label"):
        read_split(tmp_path / "split.csv", samples)


def test_a_dataset_without_labels_is_refused(make: Callable[..., Sample]) -> None:
    with pytest.raises(ToolkitError, match="no image of the dataset has a label"):
        split_dataset([make("a", "", kind="unlabelled")], "stratified")


def test_images_whose_masks_alone_tell_their_class_are_drawn_by_it(make: Callable[..., Sample]) -> None:
    def masked(number: int, *labels: str) -> Sample:
        bare = make(f"{labels}{number}")
        masks = tuple(MaskFile(bare.image, (value,), label=label) for value, label in enumerate(labels, 1))
        return Sample(bare.key, bare.image, masks, "nut", "", "train", kind="masks")

    samples = [masked(number, *labels) for labels in (["a"], ["b"], ["a", "b"]) for number in range(10)]
    split = split_dataset(samples, "stratified", val=0, test=0.2)
    tested = Counter(key[: key.index(")")] for key, subset in split.items() if subset == "test")
    assert sorted(tested.values()) == [2, 2, 2]


def test_settings_of_groups_come_through_the_file(make: Callable[..., Sample], tmp_path: Path) -> None:
    samples = [make(key) for key in KEYS] + [make(f"rare {n}_a", "odd class, 50%+") for n in range(2)]
    pattern = "{part: *p\\d, ?}*"
    with pytest.raises(ToolkitError, match="fits none"):
        split_dataset(samples, "stratified", group=pattern)
    split = split_dataset(samples, "stratified", group="{part}_{:[a-c], ?|[a-c]}", leave_out="odd class, 50%+")
    write_split(split, tmp_path / "split.csv")
    again = read_split(tmp_path / "split.csv", samples)
    assert again == split
    assert again.settings["group"] == split.settings["group"]
    assert again.settings["left_out"] == split.settings["left_out"] == ("odd class, 50%+",)
    first = (tmp_path / "split.csv").read_bytes()
    write_split(again, tmp_path / "split.csv")
    assert (tmp_path / "split.csv").read_bytes() == first
