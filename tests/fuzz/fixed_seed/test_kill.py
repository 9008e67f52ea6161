from __future__ import annotations

from collections.abc import Callable


def test_kill(findings: Callable[..., list[str]]) -> None:
    assert findings("kill", 3) == []
