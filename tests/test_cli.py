"""The front door: what the commands print and where, exit statuses, help, completion, and life without a terminal."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import IMAGES, PATIENCE, ROOT, defectkit, make_dataset, processor_seconds, shell, snapshot
from toolkit import __version__

COMMANDS = ["synth", "prepare", "describe", "split", "convert", "verify", "view", "demo"]
COMMANDS += ["train", "attempts", "compare", "evaluate", "predict"]
FORMATS = ["yolo-detect", "yolo-segment", "yolo-obb", "yolo-classify", "coco", "semantic", "panoptic", "masks"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


@pytest.fixture
def labels(dataset: Path, tmp_path: Path) -> Path:
    assert defectkit("convert", dataset, tmp_path / "labels", "--to", "yolo-segment,coco").status == 0
    return tmp_path / "labels"


def spoil(labels: Path, key: str = "part__test__scratch__001") -> None:
    """Move one corner of one polygon."""
    label = labels / "yolo-segment/labels/test" / f"{key}.txt"
    words = label.read_text().split(" ")
    label.write_text(" ".join([*words[:1], "0.99", *words[2:]]))


def test_version() -> None:
    assert defectkit("--version") == (0, f"defectkit {__version__}\n", "")


def test_help_lists_every_command() -> None:
    outcome = defectkit("--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert all(f"\n  {command} " in outcome.out for command in COMMANDS)


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command: str, flag: str) -> None:
    outcome = defectkit(command, flag)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: defectkit {command} ")


def test_without_a_command_help_is_shown_and_the_status_says_so() -> None:
    outcome = defectkit()
    assert outcome.status == 2
    assert outcome.out == defectkit("--help").out


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['defectkit', 'convert', '--help']\n"
        "from toolkit.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'cv2', 'numpy', 'PIL', 'joblib', 'shapely', 'converters'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_comes_at_once() -> None:
    assert min(processor_seconds("--help") for _ in range(5)) < 0.4  # the least is the least disturbed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ()),
        (("foo",), ("defectkit: ", "'foo'", "defectkit --help")),
        (("--bogus",), ("defectkit: ", "--bogus", "defectkit --help")),
        (("convert",), ("defectkit convert: ", "'ROOT [ROOT...] OUT'", "defectkit convert --help")),
        (("convert", "a"), ("defectkit convert: ", "'--to'")),
        (("convert", "a", "b"), ("defectkit convert: ", "'--to'")),
        (("convert", "a", "b", "--to"), ("defectkit convert: ", "'--to'")),
        (("convert", "a", "b", "--to", "coco", "--bogus"), ("--bogus",)),
        (("convert", "a", "b", "--tp", "coco"), ("--tp", "--to")),
        (("convert", "a", "b", "--to", "coco", "yolo-segment"), ("unexpected", "--to coco,yolo-segment")),
        (("convert", "a", "b", "c", "--to", "coco"), ("a: no such folder",)),
        (("convert", "a", "--to", "coco"), ("defectkit convert: ", "'OUT'")),
        (("split", "a", "--strategy", "kfold"), ("defectkit split: ", "'OUT'")),
        (("convert", "a", "b", "--to", "coco", "--classes", "x"), ("--classes", "'binary'", "'category-defect'")),
        (("convert", "a", "b", "--to", "coco", "--images", "x"), ("--images", "'symlink'")),
        (("convert", "a", "b", "--to", "coco", "--on-problem", "x"), ("--on-problem", "'skip'")),
        (("convert", "a", "b", "--to", "coco", "--strategy", "x"), ("--strategy", "'stratified'")),
        (("convert", "a", "b", "--to", "coco", "--min-iou", "x"), ("--min-iou", "number")),
        (("convert", "a", "b", "--to", "coco", "--fold", "0.5"), ("--fold", "integer")),
        (("split", "a", "b"), ("defectkit split: ", "'--strategy'")),
        (("synth", "a", "--per-class", "x"), ("--per-class", "integer")),
        (("verify",), ("defectkit verify: ", "'OUT'")),
    ],
    ids=lambda value: " ".join(value) or "nothing",
)
def test_usage_errors_take_one_line(words: tuple[str, ...], said: tuple[str, ...]) -> None:
    outcome = defectkit(*words)
    assert outcome.status == 2
    if words:
        assert outcome.out == ""
        assert len(outcome.err.splitlines()) == len(outcome.errors) == 1
        assert outcome.err.startswith("error: ")
        assert all(word in outcome.err for word in said), outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "gone"), "error: gone: no such folder"),
        (("convert", "gone", "out", "--to", "coco"), "error: gone: no such folder"),
        (("synth", "out", "--product", "a/b"), "error: --product: 'a/b' cannot name a folder"),
        (("synth", "out", "--image-size", "8"), "error: --image-size: 8 is out of range"),
        (("demo", "/dev/null"), "error: /dev/null: is a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_debug_shows_the_traceback_and_the_line(words: tuple[str, ...], said: str) -> None:
    plain = defectkit(*words)
    assert (plain.status, plain.out) == (2, "")
    assert plain.err.startswith(said)
    assert len(plain.err.splitlines()) == 1
    for place in (0, 1, len(words)):
        outcome = defectkit(*words[:place], "--debug", *words[place:])
        assert outcome.status == 2
        assert outcome.err.startswith("Traceback")
        assert outcome.err.endswith(plain.err)


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("toolkit.synthetic.product.write_product", fail)
    with pytest.raises(ZeroDivisionError):
        defectkit("synth", "anywhere")


def test_synth(tmp_path: Path) -> None:
    words = ("--product", "part", "--per-class", "1", "--train-good", "2", "--image-size", "64")
    outcome = defectkit("synth", tmp_path / "data", *words)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"{tmp_path / 'data/part'}: 10 images, 7 kinds of defect" in outcome.out
    told = defectkit("synth", tmp_path / "again", *words, "--seed", "0", "--json").json()
    assert (told["images"], told["seed"], len(told["classes"])) == (10, 0, 8)
    assert snapshot(tmp_path / "data") == snapshot(tmp_path / "again")


def test_split(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    outcome = defectkit("split", dataset, file, "--strategy", "stratified", "--val", "0", "--seed", "3")
    assert outcome.status == 0
    assert [line.split() for line in outcome.out.splitlines() if "scratch" in line] == [["scratch", "2", "1"]]
    assert "note: defects stand in the test folder only" in outcome.err
    comment, *rows = file.read_text().splitlines()
    assert comment.startswith("# strategy=stratified seed=3 ")
    assert [row["key"] for row in csv.DictReader(rows)] == sorted(row["key"] for row in csv.DictReader(rows))
    assert len(rows) == IMAGES + 1


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (("native",), {}),
        (("stratified", "--val", "0", "--test", "0.5"), {"seed": 0, "test": 0.5}),
        (("uniform", "--per-class", "2", "--test-per-class", "1"), {"seed": 0, "per_class": 2, "test_per_class": 1}),
        (("kfold", "--folds", "2", "--fold", "1"), {"seed": 0, "folds": 2, "fold": 1, "val": 0.0}),
    ],
)
def test_split_strategies(dataset: Path, tmp_path: Path, words: tuple[str, ...], settings: dict[str, object]) -> None:
    file = tmp_path / "split.csv"
    told = defectkit("split", dataset, file, "--json", "--strategy", *words).json()
    assert (told["strategy"], told["settings"]) == (words[0], settings)
    converted = [
        defectkit("convert", dataset, tmp_path / name, "--to", "coco", "--json", *how).json()["formats"]["coco"]
        for name, how in (("by file", ("--split", file)), ("at once", ("--strategy", *words)))
    ]
    assert converted[0]["labels_sha256"] == converted[1]["labels_sha256"]
    counts = {subset: counted["images"] for subset, counted in converted[0]["subsets"].items()}
    assert counts == {subset: sum(classes.values()) for subset, classes in told["subsets"].items()}


def test_split_replaces_an_older_split_and_no_other_file(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    for seed in ("1", "2"):
        assert defectkit("split", dataset, file, "--strategy", "stratified", "--val", "0", "--seed", seed).status == 0
        assert f"seed={seed}" in file.read_text()
    file.write_text("week,defects\n1,7\n")
    outcome = defectkit("split", dataset, file, "--strategy", "native")
    assert (outcome.status, outcome.errors) == (2, [f"error: {file}: exists and is no split; choose another name"])
    assert file.read_text() == "week,defects\n1,7\n"


def test_convert_prints_what_it_wrote(dataset: Path, tmp_path: Path) -> None:
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco", "--to", "yolo-obb,coco")
    assert outcome.status == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["coco", str(IMAGES), "10", "4", "5", "of", "5", "1.0000", "0"] in rows
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["coco", "yolo-obb"]


def test_convert_prints_one_json_object(dataset: Path, tmp_path: Path) -> None:
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", ",".join(FORMATS), "--json", "--min-area", "2")
    assert (outcome.status, outcome.err) == (0, "")
    told = outcome.json()
    assert sorted(told["formats"]) == sorted(FORMATS)
    for name, manifest in told["formats"].items():
        assert manifest == json.loads((tmp_path / "out" / name / "manifest.json").read_text())
    skipped = told["formats"]["coco"]["components"]["skipped"]
    assert [one["area"] for one in skipped] == [1] * 5


def test_one_category_by_folder_and_by_option(dataset: Path, tmp_path: Path) -> None:
    make_dataset(dataset, "other")
    ways: list[tuple[str, ...]] = [(f"{dataset}/part",), (f"{dataset}/part/",), (f"{dataset}", "--category", "part")]
    hashes = set()
    for number, (root, *words) in enumerate(ways):
        outcome = defectkit("convert", root, tmp_path / str(number), "--to", "coco", "--json", *words)
        hashes.add(outcome.json()["formats"]["coco"]["labels_sha256"])
    assert len(hashes) == 1


def test_relative_paths_and_tildes(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dataset)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert defectkit("split", ".", "../split.csv", "--strategy", "native").status == 0
    assert defectkit("convert", "part", "../out", "--to", "coco", "--images", "symlink").status == 0
    assert defectkit("verify", "../out").status == 0
    assert defectkit("convert", "~/data", "~/home", "--to", "coco", "--split=~/split.csv").status == 0
    assert (tmp_path / "home/coco/manifest.json").is_file()


@pytest.mark.parametrize(
    ("words", "noted"),
    [((), True), (("--strategy", "native"), True), (("--strategy", "stratified", "--val", "0"), False)],
    ids=["the dataset's own", "native", "stratified"],
)
def test_a_train_subset_without_defects_is_spoken_of(
    dataset: Path, tmp_path: Path, words: tuple[str, ...], noted: bool
) -> None:
    outcome = defectkit("convert", dataset, tmp_path / "out", "--to", "coco", *words)
    assert ("note: train holds good images only" in outcome.err) == noted
    assert ("--strategy stratified" in outcome.err) == noted


def test_verify_passes(labels: Path, dataset: Path) -> None:
    outcome = defectkit("verify", labels)
    assert (outcome.status, outcome.err) == (0, "")
    assert "worst" not in outcome.out
    told = defectkit("verify", labels / "coco", "--against", dataset, "--json").json()
    assert (told["passed"], told["min_iou"], told["trees"][0]["worst"]) == (True, 1.0, [])


def test_verify_fails_with_status_1_and_names_the_worst_image(labels: Path) -> None:
    spoil(labels)
    outcome = defectkit("verify", labels)
    assert outcome.status == 1
    assert "part/test/scratch/001" in outcome.out
    assert "failed: " in outcome.err
    assert "error" not in outcome.err
    outcome = defectkit("verify", labels, "--json")
    assert (outcome.status, outcome.err) == (1, "")
    told = outcome.json()
    trees = {tree["format"]: tree for tree in told["trees"]}
    assert told["passed"] is False
    assert trees["yolo-segment"]["worst"][0]["key"] == "part/test/scratch/001"
    assert trees["yolo-segment"]["failures"]
    assert trees["coco"]["failures"] == []


def test_verify_shows_the_first_failures_and_counts_the_rest(dataset: Path, tmp_path: Path) -> None:
    for number in range(4):
        make_dataset(dataset, f"more{number}")
    assert defectkit("convert", dataset, tmp_path / "labels", "--to", "coco").status == 0
    make_dataset(tmp_path / "stranger", "other")
    outcome = defectkit("verify", tmp_path / "labels", "--against", tmp_path / "stranger")
    assert outcome.status == 1
    assert 0 < len(outcome.err.splitlines()) < 25
    assert outcome.err.splitlines()[-1].endswith(" more; --json lists all")
    told = defectkit("verify", tmp_path / "labels", "--against", tmp_path / "stranger", "--json").json()
    assert sum("is not in the source" in line for line in told["trees"][0]["failures"]) >= 4 * IMAGES


def test_simplified_labels_are_verified_with_what_they_were_asked_to_keep(tmp_path: Path) -> None:
    assert (
        defectkit("synth", tmp_path / "data", "--per-class", "1", "--train-good", "0", "--image-size", "64").status == 0
    )
    words = ("--to", "coco,yolo-segment", "--min-iou", "0.9")
    assert defectkit("convert", tmp_path / "data", tmp_path / "labels", *words).status == 0
    assert defectkit("verify", tmp_path / "labels", "--min-iou", "0.9").status == 0
    outcome = defectkit("verify", tmp_path / "labels")
    assert outcome.status == 1
    assert "was converted with --min-iou 0.9: verify it with the same" in outcome.err


def test_verify_without_a_source_says_so(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    outcome = defectkit("verify", labels)
    assert outcome.status == 0
    assert "note: no source to compare with" in outcome.err
    assert defectkit("verify", labels, "--against", tmp_path / "elsewhere").err == ""


def test_progress_is_silent_off_a_terminal(dataset: Path, tmp_path: Path) -> None:
    assert "\x1b" not in shell("convert", dataset, tmp_path / "out", "--to", "coco").err
    assert shell("verify", tmp_path / "out").err == ""
    assert shell("synth", tmp_path / "synth", "--per-class", "1", "--image-size", "64").err == ""


def on_a_terminal(*words: str | Path, **environment: str) -> str:
    """What a command shows where stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "toolkit.cli", *map(str, words)]
    variables = {"PATH": os.environ["PATH"], "TERM": "xterm", "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, cwd=ROOT)
    os.close(theirs)
    shown = bytearray()
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    return shown.decode()


def test_progress_is_shown_on_a_terminal(dataset: Path, tmp_path: Path) -> None:
    shown = on_a_terminal("convert", dataset, tmp_path / "out", "--to", "coco")
    assert "converting" in shown
    assert f"{IMAGES}/{IMAGES}" in shown


def test_a_narrow_terminal_and_no_colour(dataset: Path, tmp_path: Path) -> None:
    shown = on_a_terminal("convert", dataset, tmp_path / "out", "--to", "coco", COLUMNS="40", NO_COLOR="1")
    table = shown[shown.rindex("\x1b[?25h") :]  # what follows the progress bar, which gives the cursor back
    assert "\x1b[3" not in table  # no colours; bold and cursor keys may be
    assert all(len(line) <= 60 for line in table.splitlines() if line.startswith((" coco", " format")))


@pytest.mark.parametrize("words", [("--help",), ("verify", "OUT"), ("verify", "OUT", "--json")], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(labels: Path, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "toolkit.cli", *(word.replace("OUT", str(labels)) for word in words)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 0 or "--help" in words  # there typer decides


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a device of Linux")
def test_a_full_disk_behind_stdout_takes_one_line(labels: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "toolkit.cli", "verify", str(labels)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard output: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("conv",), ["convert"]),
        (("convert", "a", "b", "--strat"), ["--strategy"]),
        (("convert", "a", "b", "--strategy", ""), ["native", "stratified", "uniform", "kfold"]),
        (("convert", "a", "b", "--images", "h"), ["hardlink"]),
        (("convert", "a", "b", "--classes", "cat"), ["category", "category-defect"]),
        (("convert", "a", "b", "--to", "yolo-s"), ["yolo-segment"]),
        (("convert", "a", "b", "--to", "coco,yolo-"), [f"coco,{name}" for name in FORMATS if name.startswith("yolo-")]),
        (("convert", "a", "b", "--to", "coco,coc"), []),
    ],
    ids=lambda value: " ".join(value),
)
def test_completion(words: tuple[str, ...], offered: list[str]) -> None:
    typed = ["defectkit", *words]
    variables = {"_DEFECTKIT_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(typed), "COMP_CWORD": str(len(words))}
    outcome = shell(environment=variables)
    assert outcome.status == 0
    assert outcome.out.split() == offered


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_scripts(name: str, tmp_path: Path) -> None:
    variables = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    outcome = shell("--show-completion", name, environment=variables)
    assert (outcome.status, outcome.err) == (0, "")
    assert "_DEFECTKIT_COMPLETE" in outcome.out
    assert shell("--install-completion", name, environment={**variables, "PATH": os.environ["PATH"]}).status == 0
    assert any("_DEFECTKIT_COMPLETE" in path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_memory_that_ends_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("toolkit.cli.labels.open_roots", full)
    told = defectkit("convert", tmp_path, tmp_path / "out", "--to", "coco")
    assert (told.status, len(told.errors)) == (2, 1)
    assert "needs more memory than there is; use fewer --workers, or smaller images" in told.err
