from __future__ import annotations

from collections.abc import Callable


def test_cvat(findings: Callable[..., list[str]]) -> None:
    assert findings("cvat", 25) == []
