from __future__ import annotations

from collections.abc import Callable


def test_read_only(findings: Callable[..., list[str]]) -> None:
    assert findings("read_only", 16) == []
