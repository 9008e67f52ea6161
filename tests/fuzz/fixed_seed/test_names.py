from __future__ import annotations

from collections.abc import Callable


def test_names(findings: Callable[..., list[str]]) -> None:
    assert findings("names", 15) == []
