from __future__ import annotations

from collections.abc import Callable


def test_images(findings: Callable[..., list[str]]) -> None:
    assert findings("images", 120) == []
