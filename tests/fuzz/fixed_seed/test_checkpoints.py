from __future__ import annotations

from collections.abc import Callable


def test_checkpoints(findings: Callable[..., list[str]]) -> None:
    assert findings("checkpoints", 60) == []
