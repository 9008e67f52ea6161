"""The segmenter: SAM's mask decoder, and more of it if asked, tuned on defects; masks of boxes, points and clicks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from segment_anything.modeling import Sam
from torch.utils.data import DataLoader

from converters.sources import SourceLike
from finetune.detectors import check_detector
from finetune.engine.checkpoints import fetch_file, read_checkpoint
from finetune.engine.datasets import EpochSampler
from finetune.engine.devices import device_name, pick_device, reading_processes, seed_all
from finetune.engine.distributed import is_leader
from finetune.engine.facts import Facts
from finetune.engine.learner import Learner, training_facts
from finetune.engine.outputs.exports import Exportable
from finetune.engine.outputs.predictions import PredictedRows, keep_predictions
from finetune.engine.prediction import Prediction
from finetune.engine.remarks.depth import with_depth
from finetune.engine.remarks.evaluated import evaluated_examples
from finetune.engine.remarks.inputs import check_inputs
from finetune.engine.remarks.memory import memory_told
from finetune.engine.remarks.telling import tell
from finetune.engine.runs import Row, Run, file_sha256, holds_run, open_run, read_config, start_run
from finetune.engine.shares import (
    ImageFile,
    PredictedFile,
    Spread,
    kept_model,
    predict_shares,
    share_size,
)
from finetune.engine.splits import ImageRecords, open_as_told
from finetune.engine.trainer import fit
from finetune.sam.config import SamConfig
from finetune.sam.data import MOST_KEPT, PromptedImages, Task, TrainValSplit, choose_images, read_instances
from finetune.sam.embeddings import EmbeddingCache, Encoder, embed_images, open_cache
from finetune.sam.evaluation import Evaluated, detector_ap, evaluate_images, write_report
from finetune.sam.exports import export_sam
from finetune.sam.inference import predict_image, predict_share, prompted_classes, prompted_files
from finetune.sam.metrics import IOU_BOX
from finetune.sam.models import LICENCE, PUBLISHED, build_sam, save_sam
from finetune.sam.module import SamModule
from finetune.sam.predictor import Segmenter, mask_ap
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError
from toolkit.files.parallel import ordered_map
from toolkit.files.typed import PathText
from toolkit.geometry.labels import LabelledImage

__all__ = ["LEARNER", "SamConfig", "Segmenter", "evaluate", "load_segmenter", "mask_ap", "predict", "train"]

NAME = "sam"
_PATIENCE = 600.0  # seconds


@holds_run
def train(data: Path, config: SamConfig, out: Path, resume: bool = False, progress: Progress | None = None) -> Run:
    """Embed the images, train on the embeddings, and judge the best epoch on the test images beside the untuned model.

    Args:
        data: dataset root, category folder or label tree.
        config: settings.
        out: the run directory.
        resume: go on with a run that was interrupted.
        progress: called with (images done, images) while images are embedded, then with (epochs done, epochs).

    Raises:
        ToolkitError: data, split, weights or device are at fault, the disk is full, or training fails.
    """
    device = pick_device(config.device)
    if config.detector:
        check_detector(open_run(config.detector))
    examples = check_inputs(open_as_told(data, config), config)
    config = with_depth(config, examples)
    chosen = choose_images(examples, data, config)
    weights = _weights(config)
    sam, digest = _untuned(config, weights)
    # config.yaml keeps what was asked for, so that a run of the same settings is known as one.
    asked, config = config, config.with_epochs(len(chosen.train))
    facts = _facts(config, chosen, examples, weights, digest)
    run = start_run(out, NAME, asked, subsets=examples.subsets, data=data, resume=resume, **facts)
    if run.finished:
        return run
    cache, digests = None, dict[Path, str]()
    if config.cached:
        _await_leader(run)
        cache, digests = _embedded(_segmenter(sam.to(device), config, device), run, config, chosen, progress)
    _tune(sam.to("cpu"), run, config, chosen, digests, cache, progress)
    judged = _judge(sam.to(device).eval(), run, config, chosen.test, device)
    write_report(run, judged, run.logged_seconds())
    return run


def _facts(
    config: SamConfig, chosen: TrainValSplit, examples: ImageRecords, weights: str, digest: str | None
) -> dict[str, Any]:
    """What environment.json says of a run."""
    fetched = PUBLISHED.get(config.model) if config.weights == "default" else None
    told = training_facts(
        weights=weights if digest is None else str(Path(weights).resolve()),
        weights_sha256=digest,
        weights_source=fetched.url if fetched else None,
        weights_licence=LICENCE if fetched else None,
        device=device_name(pick_device(config.device)),
        best_chosen_on=chosen.how,
        metrics_of="test",
        notes=[*examples.notes, *chosen.notes],
    )
    numbers = {name: sum(len(one.instances) for one in getattr(chosen, name)) for name in ("train", "val", "test")}
    return {**told, "instances": numbers, "digests": examples.digests, "labels": examples.labels} | {
        "epochs": config.epochs
    }


def _embedded(
    untuned: Segmenter, run: Run, config: SamConfig, chosen: TrainValSplit, progress: Progress | None
) -> tuple[EmbeddingCache, dict[Path, str]]:
    """Embeddings of all images with instances, and the hashes of their files; what they take is said before."""
    cache = open_cache(_cache_folder(run, config), untuned.encoder)
    cost = _cost(untuned.sam, config, chosen, cache)
    tell("note", cost)
    views = dict.fromkeys(_files(chosen.train), config.number_of_views)
    with memory_told(run.root, config.less_memory_to_embed):
        digests, notes = embed_images(_files(_shown(chosen)), untuned.encoder, cache, progress, views)
    run.note(notes=list(dict.fromkeys([*run.facts(Facts).notes, cost, *notes])))
    return cache, digests


def _tune(
    sam: Sam,
    run: Run,
    config: SamConfig,
    chosen: TrainValSplit,
    digests: dict[Path, str],
    cache: EmbeddingCache | None,
    progress: Progress | None,
) -> None:
    """Train, write both checkpoints in Meta's format, and leave the best weights in the model."""
    module = SamModule(sam, config)
    batches, val = (_loader(chosen, config, digests, cache, training=training) for training in (True, False))
    watched: dict[str, Any] = {"monitor": "val_iou", "mode": "max", "accumulate": config.accumulate}
    ended = fit(module, batches, val, run, config, **watched, progress=progress)
    for name, file in (("last", run.checkpoints / "last.ckpt"), ("best", ended.best)):
        _load(module, file)
        if is_leader():
            save_sam(sam, run.checkpoints / f"{name}.pth")


def evaluate(run: Run, data: SourceLike | None = None) -> Row:
    """Judge a run on its own test images, or on all images of other data, beside the untuned model.

    Args:
        run: what `train` made.
        data: None for the data that it was trained on; images are chosen as by `evaluated_examples`.

    Returns:
        As metrics.json.

    Raises:
        ToolkitError: the run, the data, or the weights that it began with are at fault.
    """
    config = read_config(run, SamConfig)
    opened = partial(open_as_told, config=config)
    source, tested = evaluated_examples(run, data, opened, layout=config.layout, masked=True)
    images = read_instances(tested, source, instances=config.instances, min_area=config.min_area)
    if not any(image.instances for image in images):
        raise ToolkitError(source.root, "holds no instance: there is nothing to segment", "name data with masks")
    segmenter = load_segmenter(run)
    return _judge(segmenter.sam, run, config, images, segmenter.device).metrics


def predict(
    run: Run, images: Sequence[Path], out: Path, spread: Spread = ordered_map, *, pictures: bool = True
) -> PredictedRows:
    """Segment image files: masks/*.png, overlays/*.png, labels/coco, and a row for each image.

    SAM needs prompts. Images that stand in a label tree are segmented by its boxes; in others, everything is, by a grid
    of points (segment-anything's automatic mask generator).

    Args:
        run: what `train` made.
        images: the files.
        out: folder to write into.
        spread: the ordered map that the images go through, in shares.
        pictures: whether overlays are drawn.

    Returns:
        Rows of file, prompts, instances, and the files of mask and, if any, overlay.

    Raises:
        ToolkitError: the run is at fault, or an image or its labels cannot be read.
    """
    size = share_size(read_config(run, SamConfig))
    files = prompted_files(images)
    told = predict_shares(partial(_predict_share, run, pictures), files, size, out, spread)
    return keep_predictions(told, out, formats=["coco"], classes=prompted_classes(files))


def _predict_share(run: Run, pictures: bool, share: Sequence[ImageFile]) -> list[PredictedFile]:
    with kept_model(load_segmenter, run) as segmenter:
        return predict_share(segmenter, read_config(run, SamConfig), share, pictures=pictures)


def load_predictor(run: Run) -> Callable[..., Prediction]:
    """The segmenter of a run, ready for one image file after the other, with boxes or without.

    Raises:
        ToolkitError: as `load_segmenter`.
    """
    return partial(predict_image, load_segmenter(run), read_config(run, SamConfig))


def export(run: Run) -> Exportable:
    """Encoder and decoder as graphs.

    Raises:
        ToolkitError: as `load_segmenter`.
    """
    return export_sam(run, load_segmenter(run).sam, read_config(run, SamConfig).bits)


LEARNER = Learner(SamConfig, train, evaluate, predict, load_predictor, open_as_told, IOU_BOX, export=export)


def load_segmenter(run: Run) -> Segmenter:
    """The model of a run, with the weights of its best epoch.

    Raises:
        ToolkitError: the run did not go to its end of training, or its files are damaged.
    """
    config = read_config(run, SamConfig)
    if run.learner != NAME:
        raise ToolkitError(run.root, f"is a run of {run.learner}, not of {NAME}", "name a run of sam")
    best = run.checkpoints / "best.pth"
    if not best.is_file():
        raise ToolkitError(run.root, "has no checkpoints/best.pth: it did not go to its end", "train it with --resume")
    device = pick_device(config.device)
    return _segmenter(build_sam(config.model, config.image_size, best).to(device), config, device)


def _segmenter(sam: Sam, config: SamConfig, device: torch.device) -> Segmenter:
    numbers = config.image_size, config.embed_batch, reading_processes(config), config.bits
    return Segmenter(sam, Encoder(sam.image_encoder, device, *numbers))


def _weights(config: SamConfig) -> str:
    """The file to begin with, or "none"; Meta's is fetched where it is not there yet.

    Raises:
        ToolkitError: it cannot be fetched.
    """
    if config.weights != "default":
        return config.weights
    own = PUBLISHED.get(config.model)
    if own is None:
        return "none"
    ways = "or begin at random with --set weights=none"
    return str(fetch_file(f"weights of {config.model}", own.url, ways, own.sha256))


def _untuned(config: SamConfig, weights: str) -> tuple[Sam, str | None]:
    """The model before training, and the hash of its file."""
    seed_all(config.seed)
    sam = build_sam(config.model, config.image_size, weights)
    return sam, None if weights == "none" else file_sha256(Path(weights))


def _cache_folder(run: Run, config: SamConfig) -> Path:
    return run.root / "cache" if config.cache == "auto" else Path(config.cache)


def _await_leader(run: Run) -> None:
    """Of several processes, the first makes the run directory, and finds it empty: the others write there later."""
    until = time.monotonic() + _PATIENCE
    while not is_leader() and not (run.root / "environment.json").is_file():
        if time.monotonic() > until:
            raise ToolkitError(run.root, "was not made by the first process", "see what that one says")
        time.sleep(0.1)


def _shown(chosen: TrainValSplit) -> list[LabelledImage]:
    """The images with instances."""
    return [*chosen.train, *chosen.val, *(one for one in chosen.test if one.instances)]


def _cost(sam: Sam, config: SamConfig, chosen: TrainValSplit, cache: EmbeddingCache) -> str:
    """What the embeddings will take, in words."""
    train, views = len(_files(chosen.train)), config.number_of_views
    number = len(_files(_shown(chosen))) + (views - 1) * train
    each = 2 * sam.prompt_encoder.embed_dim * (config.image_size // 16) ** 2  # bytes
    told = f" ({train} training images in {views} views each; --set views=1 makes one)" if views > 1 else ""
    kept, whole = min(train * views * each, MOST_KEPT) / 1e6, number * each / 1e6
    return (
        f"embeddings of {number} pictures{told} take {whole:.1f} MB in {cache.folder.parent}, less what is "
        f"there already; {kept:.1f} MB of them stay in memory"
    )


def _files(images: Sequence[LabelledImage]) -> list[Path]:
    return list(dict.fromkeys(image.path for image in images if image.path is not None))


def _loader(
    chosen: TrainValSplit, config: SamConfig, digests: dict[Path, str], cache: EmbeddingCache | None, *, training: bool
) -> DataLoader[dict[str, Any]]:
    number = config.prompts_per_image
    prompts = (number, config.box_share, config.jitter, config.seed)
    colour = 0.0 if config.frozen else config.colour
    task = Task(config.image_size, *prompts, not training, config.number_of_views, colour, config.bits)
    readers = reading_processes(config)
    images, kept = chosen.train if training else chosen.val, MOST_KEPT // max(1, readers)
    dataset = PromptedImages(images, task, digests, cache, kept)
    return DataLoader(
        dataset,
        batch_size=config.batch_size,
        sampler=EpochSampler(len(dataset), shuffle=training, seed=config.seed),
        num_workers=readers,
        persistent_workers=readers > 0,
        generator=torch.Generator().manual_seed(config.seed),
        pin_memory=pick_device(config.device).type == "cuda",
    )


def _load(module: SamModule, file: Path) -> None:
    """Fill a module from a checkpoint, which leaves out what does not change.

    Raises:
        ToolkitError: the checkpoint is damaged, or another model's.
    """
    found = module.load_state_dict(read_checkpoint(file).get("state_dict", {}), strict=False)
    trained = {name for name, one in module.named_parameters() if one.requires_grad}
    if found.unexpected_keys or trained & set(found.missing_keys):
        raise ToolkitError(file, "belongs to another model", "train again")


class _Began(Facts):
    """Which weights a run began with, and the hash of their file."""

    weights: PathText
    weights_sha256: str | None


def _judge(sam: Sam, run: Run, config: SamConfig, images: Sequence[LabelledImage], device: torch.device) -> Evaluated:
    """Figures of images, tuned and untuned."""
    began = run.facts(_Began)
    weights = began.weights
    if weights != "none" and not Path(weights).is_file():
        raise ToolkitError(weights, "is gone, and the run began with it", "put it back to compare with it")
    before, digest = _untuned(config, weights)
    if digest != began.weights_sha256:
        raise ToolkitError(weights, "is not the file that the run began with", "put it back to compare with it")
    tuned, untuned = _segmenter(sam, config, device), _segmenter(before.to(device), config, device)
    shown = [image for image in images if image.instances]
    cache, digests = None, dict[Path, str]()
    if config.cached:
        cache = open_cache(_cache_folder(run, config), tuned.encoder)
        digests, _ = embed_images(_files(shown), tuned.encoder, cache)
    judged = evaluate_images(tuned, untuned, shown, config, digests, cache)
    if not config.detector:
        return judged
    return replace(judged, metrics={**judged.metrics, **detector_ap(tuned, untuned, images, config.detector)})
