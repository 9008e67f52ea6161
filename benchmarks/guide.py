"""Run every command of docs/guide.md in an empty folder, and put into the page what it printed.

Run: python -m benchmarks.guide [--folder DIR] [--check]; `--check` writes nothing, and says which commands failed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "guide.md"
PROGRESS = re.compile(r"^(epoch|run) \d+ of \d+: .*\n?", re.MULTILINE)  # which nobody reads afterwards
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def commands_of(block: str) -> list[str]:
    """The commands of a block: lines that begin with "$ "."""
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def run(command: str, folder: Path) -> tuple[int, str]:
    """Exit status and output of a command, as a terminal of 110 columns shows it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "110", "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    output = PROGRESS.sub("", done.stdout).strip("\n")
    return done.returncode, "\n".join(line.rstrip() for line in output.splitlines())


def main() -> None:
    """Run the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="work here, and keep what is made")
    parser.add_argument("--check", action="store_true")
    told = parser.parse_args()
    text, failed = PAGE.read_text(encoding="utf-8"), []
    with tempfile.TemporaryDirectory() as scratch:
        folder = told.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "examples").exists():
            (folder / "examples").symlink_to(ROOT / "examples")

        def filled(match: re.Match[str]) -> str:
            shown = []
            for command in commands_of(match[1]):
                started = time.monotonic()
                status, output = run(command, folder)
                print(f"{time.monotonic() - started:7.1f} s  {status}  {command}", flush=True)
                # One command of the page is refused on purpose.
                if status not in (0, 2) or "Traceback" in output:
                    failed.append(command)
                shown.append(f"$ {command}\n{output}".rstrip())
            return "```console\n" + "\n".join(shown) + "\n```"

        page = BLOCK.sub(filled, text)
    if failed:
        sys.exit("failed: " + "; ".join(failed))
    if not told.check:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
