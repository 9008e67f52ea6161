from __future__ import annotations

from collections.abc import Callable


def test_growth(findings: Callable[..., list[str]]) -> None:
    assert findings("growth", 9) == []
