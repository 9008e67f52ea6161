"""The greedy choice beside one that looks at all distances, and what it makes of patches that are alike."""

from __future__ import annotations

import torch

from finetune.patchcore.coreset import choose_coreset


def patches(number: int, dims: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(number, dims, generator=torch.Generator().manual_seed(seed))


def by_hand(given: torch.Tensor, size: int, first: int) -> list[int]:
    """Algorithm 1 of the paper, with all distances at once."""
    apart, chosen = torch.cdist(given.double(), given.double()), [first]
    while len(chosen) < size:
        chosen.append(int(apart[:, chosen].min(1).values.argmax()))
    return chosen


def test_each_is_the_farthest_from_those_before_it() -> None:
    given = patches(200, 6)
    found = choose_coreset(given, 30, seed=3).tolist()
    assert found == by_hand(given, 30, found[0])


def test_it_covers_better_than_chance() -> None:
    given = torch.cat([patches(1000, 4), patches(4, 4, 1) + 20])
    reach = torch.cdist(given, given[choose_coreset(given, 20)]).min(1).values.max()
    assert reach < 0.5 * torch.cdist(given, given[:20]).min(1).values.max()


def test_a_projection_keeps_what_is_far() -> None:
    given = torch.cat([0.1 * patches(300, 400), 5 + patches(3, 400, 1)])
    assert {300, 301, 302} <= set(choose_coreset(given, 8, dims=32).tolist())


def test_the_seed_says_which() -> None:
    given = patches(500, 90)
    one, again, other = (choose_coreset(given, 40, seed=seed).tolist() for seed in (1, 1, 2))
    assert one == again != other


def test_none_is_chosen_twice_and_all_may_be() -> None:
    given = patches(50, 3)
    assert sorted(choose_coreset(given, 49).tolist()) == sorted(set(choose_coreset(given, 49).tolist()))
    assert choose_coreset(given, 50).tolist() == choose_coreset(given, 99).tolist() == list(range(50))
