"""What the packages offer, and what they do not load to offer it."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import converters
import finetune
import toolkit

ROOT = Path(toolkit.__file__).parent.parent
LEARNERS = ("classifier", "longtail", "patchcore", "sam", "vae", "yolo", "yolo_world")
PACKAGES = [
    toolkit,
    converters,
    finetune,
    *(importlib.import_module(f"finetune.{name}") for name in LEARNERS),
]
HEAVY = ("torch", "cv2", "ultralytics", "numpy", "matplotlib", "supervision")


def offered_to_type_checkers(package: ModuleType) -> set[str]:
    """Names imported under `if TYPE_CHECKING` in the package's own file."""
    assert package.__file__ is not None
    blocks = [node for node in ast.parse(Path(package.__file__).read_text()).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name
        for node in imports
        for alias in node.names
        if str(node.module).startswith(package.__name__)
    }


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_all_is_what_type_checkers_see(package: ModuleType) -> None:
    assert sorted(package.__all__, key=str.lower) == sorted(offered_to_type_checkers(package), key=str.lower)
    assert len(set(package.__all__)) == len(package.__all__)
    assert set(package.__all__) == {name for name in dir(package) if not name.startswith("__")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_module_has_the_name_of_what_its_package_offers(package: ModuleType) -> None:
    """Else which of the two a package shows would hang on what was imported before."""
    assert package.__file__ is not None
    inside = {path.stem for path in Path(package.__file__).parent.iterdir()}
    assert not inside & set(package.__all__)


WAYS_OF_0_1_0 = {
    "classifier": "LEARNER ClassifierConfig ClassifierModule evaluate predict train",
    "longtail": "LEARNER LongtailConfig evaluate group_accuracies predict prepare train train_net",
    "sam": "LEARNER SamConfig Segmenter evaluate load_segmenter mask_ap predict train",
    "vae": "LEARNER TrainedVae VaeConfig VaeModule evaluate load_trained measure predict score_files train",
    "yolo": "LEARNER YoloConfig evaluate load_detector predict train",
    "yolo_world": "LEARNER Detector YoloWorldConfig evaluate export_prompts load_detector predict train",
}


@pytest.mark.parametrize("learner", WAYS_OF_0_1_0)
def test_a_learner_is_imported_as_it_was_when_it_was_one_file(learner: str) -> None:
    assert set(WAYS_OF_0_1_0[learner].split()) <= set(importlib.import_module(f"finetune.{learner}").__all__)


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in PACKAGES for name in package.__all__], ids=str
)
def test_every_name_loads_and_is_what_its_own_module_offers(package: ModuleType, name: str) -> None:
    value = getattr(package, name)
    home = getattr(value, "__module__", None)
    if home is not None and home.startswith(package.__name__):
        module = importlib.import_module(home)
        assert name in module.__all__
        assert getattr(module, name) is value
    assert getattr(package, name) is value


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_other_names_are_not_there(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing


MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for package in ("toolkit", "converters", "finetune")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_offers(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert module.__all__
    assert all(hasattr(module, offered) for offered in module.__all__)


def loaded_by(statement: str) -> list[str]:
    """Heavy packages that a fresh interpreter has loaded after a statement."""
    code = f"{statement}; import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return run.stdout.split()


@pytest.mark.parametrize(
    "statement",
    [
        "import toolkit.cli",
        "import toolkit",
        "import converters",
        "import finetune",
        *(f"import finetune.{name}" for name in LEARNERS),
    ],
)
def test_the_front_door_opens_at_once(statement: str) -> None:
    assert loaded_by(statement) == []


def test_labels_are_converted_without_torch() -> None:
    assert "torch" not in loaded_by("from converters import convert, read_labels, verify")
