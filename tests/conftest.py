"""What every test may ask for: the real dataset, ultralytics without a network, property tests that repeat."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

MEMORY = Path("/dev/shm")
ENOUGH = 6 << 30  # bytes; what tests leave until the end takes a third of them

# Tests write many small files, for which memory takes half the processor time of a disk. The workers inherit it.
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None

LONGEST = ("finetune/yolo_world", "finetune/yolo", "finetune/sam", "finetune/", "tests/test_", "tests/browser", "")


@pytest.fixture(scope="session")
def mvtec_root() -> Path:
    """The root of the MVTec AD dataset, named by the environment variable MVTEC_ROOT."""
    root = os.environ.get("MVTEC_ROOT")
    if not root:
        pytest.skip("needs the MVTec AD dataset: set MVTEC_ROOT to its folder, MVTEC_ROOT=/data/mvtec_ad make test")
    path = Path(root)
    if not path.is_dir():
        pytest.fail(f"MVTEC_ROOT is {root}, which is not a folder: correct it, or unset it to skip these tests")
    return path


@pytest.fixture(scope="session")
def ultralytics(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The module `ultralytics`, told before its import to leave network, packages and home folder alone."""
    os.environ |= {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(tmp_path_factory.mktemp("ultralytics")),
    }
    return pytest.importorskip("ultralytics", reason='needs ultralytics: pip install "defectkit[yolo]"')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest, so that no worker ends with it while the others are idle.

    That is: the learners, whole commands, and pages in a browser.
    """
    items.sort(key=lambda item: LONGEST.index(next(part for part in LONGEST if part in item.nodeid)))


def pytest_collection_finish() -> None:
    """Let the collector pass over what was imported until now, which stays: trainers collect after every epoch."""
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # some packages complain of what nobody collects at the end
