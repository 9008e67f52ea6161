from __future__ import annotations

from collections.abc import Callable


def test_labels(findings: Callable[..., list[str]]) -> None:
    assert findings("labels", 40) == []
