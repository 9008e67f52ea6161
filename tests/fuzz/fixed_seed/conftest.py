"""Runs a check as `make fuzz` does, and lists what it finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.fuzz.campaign import campaign

SEED = 20240


@pytest.fixture
def findings(tmp_path: Path) -> Iterator[Callable[..., list[str]]]:
    """Called with a check's name and the numbers of its inputs, `stop` and from `start`; a line for each finding."""

    def found(name: str, stop: int, start: int = 0) -> list[str]:
        result = campaign(name, SEED, start=start, stop=stop, kept=tmp_path / "kept")
        assert result.inputs == stop - start
        again = f"python -m tests.fuzz {name} --seed {SEED} --only"
        return [f"{one.kind}: {one.detail} ({again} {one.number})" for one in result.findings]

    with patch.dict(os.environ, {"FUZZ_TMP": str(tmp_path)}):
        yield found
