"""Settings: what is taken, and what is refused in which words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from finetune.engine.config import (
    LearnerConfig,
    TrainedConfig,
    dump_config,
    in_todays_words,
    load_config,
    nearest,
    parse_config,
)
from finetune.engine.splits import SplitConfig
from finetune.vae.config import VaeConfig
from toolkit.errors import ToolkitError


class Tail(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    imbalance: float = 1.0


class Config(TrainedConfig):
    tail: Tail | None = None


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_command_line_stands_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "lr: 0.5\nepochs: 7\n")
    config = load_config(Config, file, ["lr=0.25", "tail.imbalance=50"])
    assert (config.lr, config.epochs, config.batch_size) == (0.25, 7, LearnerConfig().batch_size)
    assert config.tail == Tail(imbalance=50)


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("lr=1e-3", "lr", 0.001),
        ("lr=5E-4", "lr", 0.0005),
        ("weights=none", "weights", "none"),
        ("epochs=3", "epochs", 3),
    ],
)
def test_values_are_yaml_and_numbers_may_be_scientific(setting: str, name: str, value: object) -> None:
    assert getattr(load_config(Config, None, [setting]), name) == value


def test_what_is_dumped_loads_again(tmp_path: Path) -> None:
    config = load_config(Config, None, ["tail.imbalance=2.5", "device=cuda:1", "weights=ä b.pt"])
    assert load_config(Config, write(tmp_path / "c.yaml", dump_config(config))) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["lrr=1"], "lrr=1: unknown key 'lrr'; did you mean lr?"),
        (["tail.imbalnce=1"], """tail={"imbalnce": 1}: unknown key 'tail.imbalnce'; did you mean imbalance?"""),
        (["xyzzy=1"], "xyzzy=1: unknown key 'xyzzy'; use one of epochs, batch_size"),
        (["epochs=0"], "epochs=0: epochs: input should be greater than or equal to 1 (it is 0); correct"),
        (["lr=fast"], 'lr="fast": lr: input should be a valid number'),
        (["device=gpu"], 'device="gpu": device: string should match'),
        (["lr"], "lr: is no setting; write it as lr=0.01"),
        (["lr=[1"], 'lr="[1": the value is not valid YAML'),
    ],
)
def test_settings_that_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        load_config(Config, None, settings)
    assert str(caught.value).startswith(message)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ToolkitError) as caught:
        load_config(Config, None, ["lr=-1", "epoch=3"])
    assert [problem.file for problem in caught.value.problems] == ["--set lr=-1", "--set epoch=3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "holds no settings"),
        ("lr: [\n", "is not valid YAML in line 2"),
        ("!!python/object/apply:os.system ['true']\n", "is not valid YAML"),
        ("epocs: 3\n", "unknown key 'epocs'; did you mean epochs?"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path / "bad.yaml", text)
    with pytest.raises(ToolkitError) as caught:
        load_config(Config, file)
    assert str(caught.value).startswith(f"{file}: {message}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"no\.yaml: cannot be read \(No such file"):
        load_config(Config, tmp_path / "no.yaml")


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_config(Config, write(tmp_path / "e.yaml", "# nothing\n")) == Config()


def test_nearest_names() -> None:
    assert nearest("resnet81", ["resnet18", "vgg19"]) == "did you mean resnet18?"
    assert nearest("zzz", ["a", "b"]) == "use one of a, b"


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    preset: str = "auto"


class Renamed(LearnerConfig):
    renamed: ClassVar[Mapping[str, str]] = {"rounds": "steps", "augment": "augment.preset"}
    steps: int = 1
    augment: Group = Group()


class TestOldWords:
    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("rounds=3", ("rounds", "is called steps now", "use --set steps=3")),
            ("augment=turn", ("augment", "is called augment.preset now", "use --set augment.preset=turn")),
            ("augment=null", ("augment", "is called augment.preset now", "use --set augment.preset=null")),
        ],
    )
    def test_one_on_the_command_line_is_refused_with_the_new_one(self, setting: str, message: tuple[str, ...]) -> None:
        with pytest.raises(ToolkitError) as caught:
            load_config(Renamed, None, [setting])
        assert [(one.file, one.problem, one.remedy) for one in caught.value.problems] == [message]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("rounds: 3", "rounds is called steps now; write steps: 3"),
            ("augment: turn", "augment is called augment.preset now; write augment: {preset: turn}"),
        ],
    )
    def test_one_in_a_file_is_refused_with_its_file(self, line: str, message: str, tmp_path: Path) -> None:
        file = write(tmp_path / "a.yaml", line + "\nlr: 0.5\n")
        with pytest.raises(ToolkitError) as caught:
            load_config(Renamed, file)
        assert str(caught.value) == f"{file}: {message}"

    def test_an_argument_of_python_is_refused_with_the_new_one(self) -> None:
        with pytest.raises(ToolkitError) as caught:
            parse_config(Renamed, {"augment": "turn"}, {"augment": "augment='turn'"})
        assert str(caught.value) == 'augment: is called augment.preset now; use augment={"preset": "turn"}'

    def test_the_group_of_the_same_name_is_taken(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.yaml", "augment: {preset: turn}\n")
        assert load_config(Renamed, file, ["steps=2"]) == Renamed(steps=2, augment=Group(preset="turn"))
        with pytest.raises(ToolkitError, match=r"unknown key 'augment\.presett'; did you mean preset"):
            load_config(Renamed, None, ["augment.presett=turn"])

    def test_settings_of_an_older_run_are_read_under_the_names_of_today(self) -> None:
        old = {"rounds": 3, "augment": "turn", "lr": 0.5}
        new = {"lr": 0.5, "steps": 3, "augment": {"preset": "turn"}}
        assert in_todays_words(Renamed, old) == new
        assert in_todays_words(Renamed, new) == new
        assert old == {"rounds": 3, "augment": "turn", "lr": 0.5}


def test_a_group_that_is_told_in_part_keeps_what_the_learner_has_in_it() -> None:
    """A seed of the split makes no other split of it."""
    assert VaeConfig().split.strategy == "native"
    assert VaeConfig(split={"seed": 3}).split == SplitConfig(strategy="native", seed=3)
    assert VaeConfig(split={"strategy": "uniform"}).split.strategy == "uniform"
    assert load_config(VaeConfig, None, ["split.seed=3"]).split.strategy == "native"
