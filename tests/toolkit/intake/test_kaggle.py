"""What is said to those who want a dataset from Kaggle. No test opens a connection."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.commands import defectkit, make_dataset
from tests.packing import files_of
from toolkit.intake.kaggle import MVTEC_HANDLE

pytest.importorskip("kagglehub")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """A home without a token, a cache of our own, and no network; the names that were looked for there."""
    asked: list[Any] = []

    def refuse(*place: Any, **_: Any) -> NoReturn:
        asked.append(place[0])
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in [name for name in os.environ if name.startswith("KAGGLE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home" / ".kaggle"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    return asked


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "0" * 32)


def in_cache(cache: Path, handle: str) -> dict[str, bytes]:
    """Put a dataset where kagglehub keeps what it has downloaded."""
    folder = cache / "datasets" / handle
    make_dataset(folder / "mvtec_anomaly_detection")
    (cache / "datasets" / MVTEC_HANDLE / "2.complete").touch()
    return files_of(folder / "mvtec_anomaly_detection")


def test_without_kagglehub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    outcome = defectkit("prepare", "--from", "kaggle", tmp_path / "out")
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert outcome.err.startswith(f"error: kaggle:{MVTEC_HANDLE}: needs kagglehub (")
    assert outcome.err.endswith("; pip install 'defectkit[kaggle]'\n")


def test_without_a_token(offline: list[Any], tmp_path: Path) -> None:
    outcome = defectkit("prepare", "kaggle:someone/something", tmp_path / "out")
    assert outcome == (
        2,
        "",
        "error: kaggle:someone/something: needs a Kaggle account, and there is no token of one; on kaggle.com open "
        f"Settings > API > Create New Token, and put kaggle.json into {tmp_path}/home/.kaggle "
        "(or set KAGGLE_API_TOKEN)\n",
    )
    assert offline == []
    assert not (tmp_path / "out").exists()


def test_with_a_token_that_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".kaggle"
    folder.mkdir(parents=True)
    (folder / "kaggle.json").write_text("{")
    outcome = defectkit("prepare", "--from", "kaggle", tmp_path / "out")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "its token cannot be read (Invalid Kaggle credentials file" in outcome.err


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    "words", [["--from", "kaggle"], [f"kaggle:{MVTEC_HANDLE}"], ["--from", "kaggle", MVTEC_HANDLE]]
)
def test_without_a_network(words: list[str], offline: list[Any], tmp_path: Path) -> None:
    outcome = defectkit("prepare", *words, tmp_path / "out")
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert outcome.err.startswith(f"error: kaggle:{MVTEC_HANDLE}: Kaggle cannot be reached (ConnectionError); ")
    assert f"download https://www.kaggle.com/datasets/{MVTEC_HANDLE} in a browser, and prepare the zip" in outcome.err
    assert offline
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("handle", ["screw", "a/b/c", "a/../b", "https://www.kaggle.com/a/b"])
def test_a_name_that_is_no_dataset(handle: str, offline: list[Any], tmp_path: Path) -> None:
    outcome = defectkit("prepare", f"kaggle:{handle}", tmp_path / "out")
    assert outcome.err == (
        f"error: kaggle:{handle}: is no dataset of Kaggle; name it OWNER/DATASET, for instance {MVTEC_HANDLE}\n"
    )
    assert offline == []


@pytest.mark.usefixtures("token")
def test_what_has_been_downloaded_is_prepared(offline: list[Any], tmp_path: Path) -> None:
    handle = f"{MVTEC_HANDLE}/versions/2"
    files = in_cache(tmp_path / "cache", handle)
    outcome = defectkit("prepare", f"kaggle:{handle}", tmp_path / "out", "--json")
    told = outcome.json()
    assert (outcome.status, outcome.err, offline) == (0, "", [])
    assert (told["archive"], told["kind"], list(told["products"])) == (f"kaggle:{handle}", "folder", ["part"])
    assert "third party's copy of MVTec AD, which is under CC BY-NC-SA 4.0" in told["notes"][0]
    assert {k: v for k, v in files_of(tmp_path / "out").items() if not k.startswith(".")} == files


@pytest.mark.usefixtures("token")
def test_what_kagglehub_prints_is_kept_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def download(handle: str) -> str:
        print("Warning: a newer version")
        print(" 50%|#####     |", file=sys.stderr)
        return str(make_dataset(tmp_path / handle))

    monkeypatch.setattr("kagglehub.dataset_download", download)
    outcome = defectkit("prepare", "--from", "kaggle", "a/b", tmp_path / "out", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.json()["notes"][0].startswith("kaggle:a/b is a third party's copy")


def test_a_folder_of_that_name_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path / "kaggle:a" / "b")
    assert defectkit("prepare", "kaggle:a/b", "out").status == 0
