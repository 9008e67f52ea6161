from __future__ import annotations

from collections.abc import Callable


def test_layouts(findings: Callable[..., list[str]]) -> None:
    assert findings("layouts", 40) == []
