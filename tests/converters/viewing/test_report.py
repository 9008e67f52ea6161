"""A report in one file: what stands in it, that it needs nothing else, and where it is not written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from converters import convert
from converters.sources import open_source
from converters.viewing.report import check_report, write_report
from tests.commands import make_dataset, picture, save
from toolkit import load_dataset
from toolkit.card import describe_dataset
from toolkit.dataset.suspects import Suspect
from toolkit.errors import ToolkitError

HOSTILE = "<b>dent&"


@pytest.fixture(autouse=True, scope="module")
def without_plots() -> Iterator[None]:
    """Plots take the most time, and are tested where they are drawn: one stands for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("converters.viewing.report.draw_plots", lambda card: {"classes.png": b"a plot"})
        yield


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a dataset with a leak, a problem, a hostile name, and suspects."""
    home = tmp_path_factory.mktemp("report")
    root = make_dataset(home / "data")
    (root / "part/test/dent").rename(root / "part/test" / HOSTILE)
    (root / "part/ground_truth/dent").rename(root / "part/ground_truth" / HOSTILE)
    save(root / "part/train/good/005.png", picture(10))  # as in test/good
    save(root / "part/test/good/006.png", picture(30)[:1, :1]).write_bytes(b"no image")
    source = open_source(root)
    suspect = Suspect(f"part/test/{HOSTILE}/000", HOSTILE, "good", 0.91, "a <classifier> says so")
    card = replace(describe_dataset(source.dataset), suspects=(suspect,))
    write_report(card, source, home / "report.html", table=home / "my card/suspects.csv")
    write_report(card, source, home / "again.html", table=home / "my card/suspects.csv")
    assert (home / "again.html").read_bytes() == (home / "report.html").read_bytes()
    return (home / "report.html").read_text()


def test_it_needs_nothing_else(report: str) -> None:
    assert re.findall(r'(?:src|href)="(?!data:image/)', report) == []
    assert report.count('src="data:image/jpeg;base64,') >= 10
    assert "@media print" in report
    assert "<script" not in report


def test_what_is_wrong_and_what_to_do(report: str) -> None:
    for told in (
        "Suspicious labels: 1",
        "Copies in several subsets: 1",
        "part/test/good/000 = part/train/good/005",
        "defectkit split ",
        "my card/suspects.csv&#39;",
        "Files at fault: 1",
        "&lt;b&gt;dent&amp; → good, 0.91",
        "a &lt;classifier&gt; says so",
        "Not looked for: near-duplicates (add --near-duplicates)",
        "Images of each class",
    ):
        assert told in report, told
    assert HOSTILE not in report


def test_a_label_tree_without_images_and_without_faults(tmp_path: Path) -> None:
    convert(load_dataset(make_dataset(tmp_path / "data")), tmp_path / "labels", "yolo-detect", images="none")
    source = open_source(tmp_path / "labels/yolo-detect")
    write_report(describe_dataset(source.dataset, labels=source.reader), source, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "data:image/jpeg" not in text
    assert "Images of each class" in text


@pytest.mark.parametrize(
    ("name", "told"),
    [("r.pdf", "is an HTML file"), ("data/r.html", "inside the input"), ("old.html", "exists already")],
)
def test_where_it_is_not_written(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "old.html").write_text("")
    with pytest.raises(ToolkitError, match=told):
        check_report(tmp_path / name, tmp_path / "data", overwrite=False)
    check_report(tmp_path / "old.html", tmp_path / "data", overwrite=True)
