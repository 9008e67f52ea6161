"""Many small values in little memory: what is taken out is what was put in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.dataset.dataset import Dataset
from toolkit.dataset.samples import BoxLabel, MaskFile, Sample, packed_samples
from toolkit.packed import Folders, Packed, Plain, Seen

BOX = BoxLabel("dent", (0.5, 1.0, float(np.float64(7)), 9.25), (("score", "0.5"),))
SAMPLES = [
    Sample("b", Path("/data/b.png"), (), "part", "good", "train"),
    Sample("a/\u00e4 'x'\n", Path("here/a.png"), (MaskFile(Path("here/a_mask.png"), (3, 7)),), "part", "dent", "test"),
    Sample("a\udcff", Path("/"), (MaskFile(Path("m"), (), 9, "rust", "values", "1 2"),), "", "", "", "item 7"),
    Sample("c", Path(), (), "part", "", "val", kind="unlabelled"),
    Sample("d", Path("d.png"), (), "part", "dent", "test", "", None, (BOX, BoxLabel("x", (np.float64(0.5), 0, 1, 1)))),
]


def test_samples_come_out_as_they_went_in() -> None:
    packed = packed_samples(SAMPLES)
    assert list(packed) == SAMPLES == packed[:] == [packed[place] for place in range(len(SAMPLES))]
    assert [packed[-1], *packed[1:3]] == [SAMPLES[-1], *SAMPLES[1:3]]
    assert [type(one) for one in packed[0].image.parts] == [str, str, str]
    with pytest.raises(IndexError):
        packed[len(SAMPLES)]
    packed.cut(2)
    assert list(packed) == SAMPLES[:2]


def test_they_are_sorted_by_key_and_equal_keys_stay_in_order() -> None:
    pairs = [("b", 1), ("a", 2), ("b", 3), ("a", 4), ("", 5)]
    packed: Packed[tuple[str, int]] = Packed(tuple, tuple, pairs)
    packed.sort()
    assert list(packed) == sorted(pairs, key=lambda pair: pair[0])
    assert list(packed.keys()) == ["", "a", "a", "b", "b"]
    assert [one.key for one in Dataset(SAMPLES, root=Path("/data"), layout="x")] == sorted(one.key for one in SAMPLES)


@pytest.mark.parametrize("path", ["a.png", "/a.png", "/x/y/a.png", "x/a.png", "/", "."])
def test_paths_are_kept_by_their_folders(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for most in (10, 0):
        monkeypatch.setattr("toolkit.packed._MOST_FOLDERS", most)
        folders = Folders()
        told = folders.told(Path(path))
        assert (folders.path(told), folders.text(told)) == (Path(path), path)


@pytest.mark.parametrize("value", [None, "text", ("a", [1, {"b": 2.5}]), SAMPLES[0], (Path("a"), 1)], ids=str)
def test_payloads_of_any_kind_are_kept(value: object) -> None:
    plain = Plain()
    told = plain.told(value)
    assert plain.of(told) == value
    assert type(plain.of(told)) is type(value)


def test_what_was_there_before_is_known() -> None:
    seen, texts = Seen(), [f"images/{number}.png" for number in range(5_000)]
    assert not any(seen.add(text) for text in texts)
    assert all(seen.add(text) for text in texts)
