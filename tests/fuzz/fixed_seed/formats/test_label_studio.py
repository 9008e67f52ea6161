from __future__ import annotations

from collections.abc import Callable


def test_label_studio(findings: Callable[..., list[str]]) -> None:
    assert findings("label_studio", 20) == []
