from __future__ import annotations

from collections.abc import Callable


def test_labelme(findings: Callable[..., list[str]]) -> None:
    assert findings("labelme", 24) == []
