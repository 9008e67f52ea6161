from __future__ import annotations

from collections.abc import Callable


def test_archives(findings: Callable[..., list[str]]) -> None:
    assert findings("archives", 120) == []
