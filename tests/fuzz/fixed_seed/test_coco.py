from __future__ import annotations

from collections.abc import Callable


def test_coco(findings: Callable[..., list[str]]) -> None:
    assert findings("coco", 39) == []
