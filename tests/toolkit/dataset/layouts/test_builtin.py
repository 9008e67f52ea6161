"""The built-in descriptions: each dataset is found without being told where it can be, and nothing is left over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolkit.dataset.layouts.stand_ins import facts, plant, told
from tests.toolkit.dataset.layouts.trees import STAND_INS, StandIn
from toolkit.dataset.layouts import load_dataset

each = pytest.mark.parametrize("stand_in", STAND_INS.values(), ids=STAND_INS.keys())


def grow(home: Path, stand_in: StandIn) -> Path:
    return plant(home / stand_in.root, stand_in.tree)


@each
def test_a_dataset_is_found_by_itself_and_read_whole(tmp_path: Path, stand_in: StandIn) -> None:
    dataset = load_dataset(grow(tmp_path, stand_in))
    assert (dataset.layout, facts(dataset), told(dataset)) == (stand_in.layout, stand_in.facts, [])
    assert set(stand_in.notes) <= set(dataset.notes)
    assert not dataset.unmasked or dataset.holds == "class"


@pytest.mark.parametrize("stand_in", [one for one in STAND_INS.values() if one.layout != "photos"])
def test_it_is_found_one_level_down(tmp_path: Path, stand_in: StandIn) -> None:
    dataset = load_dataset(grow(tmp_path, stand_in).parent)
    assert (dataset.layout, facts(dataset), told(dataset)) == (stand_in.layout, stand_in.facts, [])


@pytest.mark.parametrize("name", [name for name, one in STAND_INS.items() if one.product])
def test_a_product_alone_gives_the_same(tmp_path: Path, name: str) -> None:
    stand_in = STAND_INS[name]
    dataset = load_dataset(grow(tmp_path, stand_in) / stand_in.product)
    wanted = {key: value for key, value in stand_in.facts.items() if key.startswith(f"{stand_in.product}/")}
    assert (facts(dataset), told(dataset)) == (wanted, [])
