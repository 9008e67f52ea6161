from __future__ import annotations

from collections.abc import Callable


def test_runs(findings: Callable[..., list[str]]) -> None:
    assert findings("runs", 20) == []
