"""A split that is extended: what is old stays, what is new comes as near as it can to what is asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import defectkit, make_dataset, picture, save
from toolkit.dataset.samples import Sample
from toolkit.dataset.splits import NONE, load_split, read_split, split_dataset, write_split
from toolkit.errors import ToolkitError

DRAWN: list[tuple[str, dict[str, Any]]] = [
    ("native", {}),
    ("stratified", {"val": 0.2, "test": 0.3}),
    ("stratified", {"val": 0.0, "test": 0.25}),
    ("uniform", {"per_class": 4, "test_per_class": 1}),
    ("kfold", {"folds": 3, "fold": 1, "val": 0.2}),
]


def samples_of(folder: Path, sizes: dict[str, int], start: int = 0, **more: Any) -> list[Sample]:
    found = []
    for label, size in sizes.items():
        for number in range(start, start + size):
            image = folder / f"{label}{number}"
            if not image.exists():
                image.write_text(f"{label} {number}")
            found.append(Sample(f"{label}/{number:03}", image, (), "nut", label, "train", **more))
    return found


@pytest.mark.parametrize(("strategy", "numbers"), DRAWN)
def test_nothing_new_changes_nothing(tmp_path: Path, strategy: str, numbers: dict[str, Any]) -> None:
    samples = samples_of(tmp_path, {"good": 20, "dent": 9})
    split = split_dataset(samples, strategy, seed=3, **numbers)
    again = split_dataset(samples, extend=split)
    assert again == split
    assert again.strategy == strategy
    assert again.settings == {**split.settings, "extends": len(split)}


@given(
    before=st.dictionaries(st.sampled_from("abc"), st.integers(4, 12), min_size=1),
    added=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)),
    gone=st.integers(0, 3),
    drawn=st.sampled_from(DRAWN),
    groups=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_what_is_old_never_moves(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, int],
    added: dict[str, int],
    gone: int,
    drawn: tuple[str, dict[str, Any]],
    groups: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "growth"
    folder.mkdir(exist_ok=True)
    strategy, numbers = drawn
    old = samples_of(folder, before)
    try:
        split = split_dataset(old, strategy, seed=seed, **numbers)
        new = [
            Sample(one.key, one.image, (), "nut", one.defect, "test", f"item{index // groups}")
            for index, one in enumerate(samples_of(folder, added, start=100))
        ]
        grown = split_dataset([*old[gone:], *new], extend=split)
    except ToolkitError as error:  # a new class may be too small
        told = str(error)
    else:
        told = ""
        kept = {one.key for one in old[gone:]} & split.keys()
        assert {key: grown[key] for key in kept} == {key: split[key] for key in kept}
        assert grown.keys() <= {one.key for one in (*old[gone:], *new)}
        subsets: dict[str, set[str]] = {}
        for one in new:
            if one.key in grown:
                subsets.setdefault(one.group, set()).add(grown[one.key])
        assert strategy == "native" or all(len(found) == 1 for found in subsets.values())
        assert grown == split_dataset([*old[gone:], *new][::-1], extend=split)
    assert not told or "too few" in told or "asks for" in told


@pytest.mark.parametrize("step", [1, 3, 10, 40])
def test_the_whole_comes_near_to_the_shares(tmp_path: Path, step: int) -> None:
    split = split_dataset(samples_of(tmp_path, {"good": 20, "dent": 10}), "stratified", val=0.1, test=0.2)
    for size in range(step, 41, step):
        grown = samples_of(tmp_path, {"good": 20 + size, "dent": 10 + size})
        split = split_dataset(grown, extend=split)
        assert len(split) == len(grown)
        for label, base in (("good", 20), ("dent", 10)):
            counts = Counter(subset for key, subset in split.items() if key.startswith(label))
            assert abs(counts["val"] - (base + size) * 0.1) <= 1, counts
            assert abs(counts["test"] - (base + size) * 0.2) <= 1, counts


def test_a_skewed_split_is_evened_out(tmp_path: Path) -> None:
    old = dict.fromkeys((one.key for one in samples_of(tmp_path, {"dent": 10})), "test")
    split = split_dataset(samples_of(tmp_path, {"dent": 40}), "stratified", val=0.25, test=0.25, extend=old)
    assert Counter(split.values()) == {"test": 10, "val": 10, "train": 20}


@pytest.mark.parametrize("subset", ["train", "val", "test"])
def test_twins_and_groups_follow_what_is_old(tmp_path: Path, subset: str) -> None:
    samples = samples_of(tmp_path, {"dent": 30})
    first, item = samples[0], Sample("dent/item", samples[1].image, (), "nut", "dent", "train", "one")
    samples[1] = Sample(samples[1].key, samples[1].image, (), "nut", "dent", "train", "one")
    (tmp_path / "copy").write_bytes(first.image.read_bytes())
    (tmp_path / "other").write_text("other")
    twin = Sample("dent/copy", tmp_path / "copy", (), "nut", "dent", "train")
    item = Sample("dent/item", tmp_path / "other", (), "nut", "dent", "train", "one")
    old = {first.key: subset, samples[1].key: subset}
    split = split_dataset([*samples, twin, item], "stratified", extend=old)
    assert split[twin.key] == split[item.key] == subset


def test_new_images_are_tested_once_over_the_folds(tmp_path: Path) -> None:
    old, grown = samples_of(tmp_path, {"good": 11, "dent": 7}), samples_of(tmp_path, {"good": 30, "dent": 20})
    folds = [split_dataset(old, "kfold", folds=4, fold=fold, val=0.2) for fold in range(4)]
    grown_folds = [split_dataset(grown, extend=split) for split in folds]
    tested = Counter(key for split in grown_folds for key, subset in split.items() if subset == "test")
    assert tested == Counter(one.key for one in grown)


def test_what_was_left_out_by_hand_stays_out(tmp_path: Path) -> None:
    samples = samples_of(tmp_path, {"dent": 12})
    split = split_dataset(samples[:10], "stratified")
    subsets = {**split, samples[0].key: NONE, samples[1].key: NONE}
    write_split(subsets, tmp_path / "old.csv")
    old = read_split(tmp_path / "old.csv", samples[:10])
    assert old.left_out == (samples[0].key, samples[1].key)
    with pytest.raises(ToolkitError, match="does not say how it was made"):
        split_dataset(samples, extend=old)
    grown = split_dataset(samples, "stratified", extend=old)
    assert grown.keys() == {one.key for one in samples[2:]}
    write_split(grown, tmp_path / "new.csv")
    assert read_split(tmp_path / "new.csv", samples) == grown


def test_another_dataset_and_odd_subsets_are_refused(tmp_path: Path) -> None:
    samples = samples_of(tmp_path, {"dent": 12})
    with pytest.raises(ToolkitError, match="none of the 1 keys of the older split is in the dataset"):
        split_dataset(samples, "stratified", extend={"bolt/0": "train"})
    with pytest.raises(ToolkitError, match="unknown subset 'holdout'"):
        split_dataset(samples, "stratified", extend={samples[0].key: "holdout"})


def test_the_command_goes_on_by_the_settings_of_the_old_file(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    words = ("--strategy", "stratified", "--val", "0", "--test", "0.4", "--seed", "5", "--group", "{n:...}")
    assert defectkit("split", root, old, *words).status == 0
    (root / "part/test/dent/000.png").unlink()
    (root / "part/ground_truth/dent/000_mask.png").unlink()
    for number in range(10, 30):
        save(root / f"part/train/good/{number:03}.png", picture(number))
    outcome = defectkit("split", root, new, "--extend", old, "--json")
    told = outcome.json()
    assert {**told["settings"], "extends": None} == {"seed": 5, "test": 0.4, "group": "{n:...}", "extends": None}
    assert any("no longer in the dataset" in note for note in told["notes"])
    before, after = load_split(old), load_split(new)
    assert {key: after[key] for key in before if key in after} == {k: v for k, v in before.items() if k in after}
    assert len(before.keys() - after.keys()) == 1
    assert len(after) == len(before) - 1 + 20
    over = defectkit("split", root, new, "--extend", old, "--test", "0.1", "--json").json()
    assert over["settings"]["test"] == 0.1
    assert defectkit("split", root, old, "--extend", old).status == 0


def test_the_command_refuses_what_it_cannot_extend(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    (line,) = defectkit("split", root, tmp_path / "a.csv").errors
    assert line == "error: defectkit split: misses '--strategy'; add --strategy stratified, or --extend OLD.csv"
    (line,) = defectkit("split", root, tmp_path / "a.csv", "--extend", "gone.csv").errors
    assert line.startswith("error: gone.csv: cannot be read")
    (tmp_path / "odd.csv").write_text("# strategy=stratified seed=x\nkey,subset\npart/train/good/000,train\n")
    (line,) = defectkit("split", root, tmp_path / "a.csv", "--extend", tmp_path / "odd.csv").errors
    assert "was made with seed=x, which is no number" in line
    words = ("--extend", tmp_path / "odd.csv", "--per-class", "3")
    (line,) = defectkit("split", root, tmp_path / "a.csv", *words).errors
    assert "does not go with --strategy stratified" in line
