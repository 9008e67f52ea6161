from __future__ import annotations

from collections.abc import Callable


def test_gallery(findings: Callable[..., list[str]]) -> None:
    assert findings("gallery", 6) == []
