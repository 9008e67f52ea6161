from __future__ import annotations

from collections.abc import Callable


def test_png(findings: Callable[..., list[str]]) -> None:
    assert findings("png", 120) == []
