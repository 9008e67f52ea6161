from __future__ import annotations

from collections.abc import Callable


def test_crafted_archives(findings: Callable[..., list[str]]) -> None:
    assert findings("crafted_archives", 70) == []
