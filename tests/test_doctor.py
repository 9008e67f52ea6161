"""`defectkit doctor`: what is installed, what is missing, the line that installs it, and at little cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.commands import ROOT, defectkit
from toolkit import __version__
from toolkit.cli.doctor import findings

REQUIREMENTS = [
    "numpy>=2.0",
    "pillow>=10.4",
    'torch>=2.6; extra == "train"',
    'timm>=1.0; extra == "train"',
    "dask[distributed]>=2024.8; extra == 'cluster'",
    'ruff>=0.9; extra == "dev"',
    'colorama>=0.4; sys_platform == "none-of-ours" and extra == "train"',
]


def pretend(monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], requirements: list[str] | None) -> None:
    extras = findings.find_extras
    monkeypatch.setattr(findings, "own_requirements", lambda: requirements)
    monkeypatch.setattr(findings, "find_extras", lambda lines: extras(lines, installed.get))


def test_what_is_here_fits() -> None:
    outcome = defectkit("doctor", "--json")
    told = outcome.json()
    assert (outcome.status, outcome.err, told["failures"]) == (0, "", [])
    assert (told["defectkit"], told["extras"]["base"]["state"]) == (__version__, "whole")
    assert set(told["extras"]) == {"base", "train", "yolo", "cluster", "kaggle"}


@pytest.mark.parametrize(
    ("installed", "states", "failures"),
    [
        ({"numpy": "2.1", "pillow": "11"}, {"base": "whole", "train": "not installed", "cluster": "not installed"}, []),
        (
            {"numpy": "2.1", "pillow": "11", "torch": "2.7", "dask": "2025.1"},
            {"train": "in part", "cluster": "whole"},
            [],
        ),
        ({"numpy": "2.1"}, {"base": "in part"}, ["pillow is missing", "pip install 'defectkit'"]),
        (
            {"numpy": "2.1", "pillow": "11", "torch": "2.1", "timm": "1.2"},
            {"base": "whole", "train": "in part"},
            ["torch 2.1 does not fit", ">=2.6 is wanted", "pip install 'defectkit[train]'"],
        ),
    ],
    ids=["base alone", "an extra in part", "the base in part", "too old"],
)
def test_what_is_missing_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], states: dict[str, str], failures: list[str]
) -> None:
    pretend(monkeypatch, installed, REQUIREMENTS)
    outcome = defectkit("doctor", "--json")
    told = outcome.json()
    assert {name: told["extras"][name]["state"] for name in states} == states
    assert outcome.status == bool(failures) == len(told["failures"])
    assert all(word in told["failures"][0] for word in failures)
    text = defectkit("doctor")
    assert text.status == outcome.status
    assert ("pip install 'defectkit[train]'" in text.out) == (told["extras"]["train"]["state"] != "whole")


def test_a_copy_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {}, None)
    outcome = defectkit("doctor")
    assert outcome.status == 1
    assert "failed: defectkit is not installed" in outcome.err


def test_cards_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    said = subprocess.CompletedProcess([], 0, "NVIDIA X, 550.1, 81559 MiB\nNVIDIA X, 550.1, 81559 MiB\n", "")
    monkeypatch.setattr(findings.subprocess, "run", lambda *_, **__: said)
    assert [card.memory for card in findings.find_cards()] == ["81559 MiB"] * 2
    said.returncode = 9
    assert findings.find_cards() == ()


def test_it_loads_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['defectkit', 'doctor', '--json']\n"
        "from toolkit.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'cv2', 'numpy', 'converters', 'finetune'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
