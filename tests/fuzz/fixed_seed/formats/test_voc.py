from __future__ import annotations

from collections.abc import Callable


def test_voc(findings: Callable[..., list[str]]) -> None:
    assert findings("voc", 40) == []
