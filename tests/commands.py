"""Running the command line, in this process or in one of its own, on a dataset small enough to break piece by piece."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import cv2
import numpy as np
import numpy.typing as npt

from toolkit.cli import main

__all__ = [
    "DEFECTS",
    "IMAGES",
    "PATIENCE",
    "Outcome",
    "defectkit",
    "make_dataset",
    "picture",
    "processor_seconds",
    "save",
    "shell",
    "snapshot",
    "stain",
    "times",
]

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 600  # seconds after which what a test waits for is taken to hang, on a machine that others keep busy
WIDTH, HEIGHT = 24, 16
DEFECTS = {"dent": 2, "scratch": 3}
IMAGES = 2 + 2 + sum(DEFECTS.values())  # of `make_dataset`: train/good, test/good and the defects


class Outcome(NamedTuple):
    """What a command left behind: its exit status, stdout and stderr."""

    status: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Lines of stderr that tell of an error."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")]

    def json(self) -> dict[str, Any]:
        """Stdout as the one JSON object that it should be."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def defectkit(*words: str | Path) -> Outcome:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    status: int | str | None = 0
    argv = ["defectkit", *map(str, words)]
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", argv):
        try:
            main()
        except SystemExit as end:
            status = end.code
    assert isinstance(status, int)
    return Outcome(status, out.getvalue(), err.getvalue())


def shell(*words: str | Path, environment: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Outcome:
    """Run a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "toolkit.cli", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=None if environment is None else {"PYTHONPATH": str(ROOT), **environment},
        timeout=PATIENCE,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def processor_seconds(*words: str | Path) -> float:
    """What a command that succeeds costs in a process of its own, however busy the machine is."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert shell(*words).status == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def picture(number: int) -> npt.NDArray[np.uint8]:
    """A grey image that no other number gives."""
    return np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH), np.uint8)


def stain(number: int) -> npt.NDArray[np.uint8]:
    """A mask of 0 and 255: a bar with a bite, and a speck."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:9, 2 + number : 9 + number] = 255
    mask[5:7, 4 + number] = 0
    mask[13, 20] = 255
    return mask


def save(path: Path, pixels: npt.NDArray[Any]) -> Path:
    """Write an image in the format that its name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix.lower(), pixels)
    assert done
    path.write_bytes(data.tobytes())
    return path


def make_dataset(root: Path, category: str = "part") -> Path:
    """A sound dataset in MVTec layout with one category; its root."""
    home = root / category
    for number in range(2):
        save(home / "train/good" / f"{number:03}.png", picture(number))
        save(home / "test/good" / f"{number:03}.png", picture(10 + number))
    for place, (defect, count) in enumerate(DEFECTS.items(), 2):
        for number in range(count):
            save(home / "test" / defect / f"{number:03}.png", picture(10 * place + number))
            save(home / "ground_truth" / defect / f"{number:03}_mask.png", stain(number))
    return root


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder: path -> content, or None for folders; empty where there is no such folder."""
    found = sorted(folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in found}


def times(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file of a folder, each folder and the folder itself were last written, and their sizes.

    Permissions would say the same, but root, who runs many tests, may write everywhere.
    """
    found = {path: path.stat() for path in sorted((folder, *folder.rglob("*")))}
    return {str(path): (told.st_mtime_ns, told.st_size) for path, told in found.items()}
