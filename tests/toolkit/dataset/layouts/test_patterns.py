"""Patterns of paths, and many of them at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.dataset.layouts.patterns import Matcher, compile_pattern
from toolkit.errors import ToolkitError

TEXTS = [
    "{category}/{split:train|test}/{class}/{name}.{ext}",
    "{category}/ground_truth/{class}/{name}_mask.png",
    "{category}/ground_truth/{class}/{name}/*.png",
    "{class:(?!(?i:images?|masks?)/)[^/]+}/{name}.{ext}",
    "{class:(?!.*_mask)[^/]+}/{name}.{ext}",
    "{name:.*(?<!_mask)}.png",
    "{item}/{item}_{name}.png",
    "**/{name}.png",
    "a/**/{name:\\d+}.png",
    "a/**",
    "*/{name}.jpg",
    "{:(?i:images?)}/{name}{:[_-]mask}.{ext}",
]
PARTS = st.sampled_from(["a", "b", "train", "test", "ground_truth", "dent", "images", "Masks", "a_1", "01", "x_mask"])
ENDINGS = st.sampled_from([".png", ".PNG", ".jpg", "_mask.png", "-mask.tif", ".txt", ""])
PATHS = st.builds(lambda parts, ending: "/".join(parts) + ending, st.lists(PARTS, min_size=1, max_size=5), ENDINGS)


@given(st.lists(PATHS, min_size=1, max_size=30))
def test_a_matcher_finds_what_each_of_its_patterns_matches(paths: list[str]) -> None:
    patterns = [compile_pattern(text) for text in TEXTS]
    matcher = Matcher(patterns)
    for path in paths:
        cut = path.rfind("/") + 1
        alone = [(n, groups) for n, pattern in enumerate(patterns) if (groups := pattern.match(path)) is not None]
        assert matcher.every(path[:cut], path[cut:]) == alone
        assert matcher.first(path[:cut], path[cut:]) == (alone[0] if alone else None)


@pytest.mark.parametrize(
    ("text", "path", "groups"),
    [
        ("{category}/{name}.png", "a/b.PNG", {"category": "a", "name": "b"}),
        ("{category}/{name}.png", "a/b/c.png", None),
        ("{name}.{ext}", "a.JpEg", {"name": "a"}),
        ("Data/{name}.png", "data/a.png", None),
        ("{a}_{a}.png", "x_x.png", {"a": "x"}),
        ("{a}_{a}.png", "x_y.png", None),
        ("**/{name}.png", "a/b/c.png", {"name": "c"}),
        ("**/{name}.png", "c.png", {"name": "c"}),
    ],
)
def test_what_a_pattern_binds(text: str, path: str, groups: dict[str, str] | None) -> None:
    assert compile_pattern(text).match(path) == groups


@pytest.mark.parametrize("text", ["/a/{name}.png", "../{name}.png", "{name", "{}.png", "{name:(}.png", "{a b}.png"])
def test_a_pattern_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ToolkitError, match="pattern"):
        compile_pattern(text)
