"""A stand-in for each dataset that a built-in description is of, and what should be made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np

from tests.toolkit.dataset.layouts.stand_ins import IMAGE, Facts, Tree, marked

__all__ = ["STAND_INS", "StandIn"]

GOOD_TRAIN, GOOD_VAL, GOOD_TEST = ((), "train", "good"), ((), "val", "good"), ((), "test", "good")
BOTH = marked(3)
BOTH[0, 0] = 1
CLOUD = np.zeros((4, 6, 3), np.float32)


@dataclass(frozen=True)
class StandIn:
    """A tree, the layout that it should be found to have, and what is in it.

    Attributes:
        root: name of its root, where that tells something.
        product: a folder in it that is a whole dataset too; "" if none is.
    """

    layout: str
    tree: Tree
    facts: Facts
    root: str = "data"
    product: str = ""
    notes: tuple[str, ...] = field(default=())


def labelled(name: str, split: str = "train") -> tuple[tuple[str, ...], str, str]:
    return ((name,), split, "masks")


LOCO_NAMES = [
    {"defect_name": "missing_almonds", "pixel_value": 255, "saturation_threshold": 1, "relative_saturation": True},
    {"defect_name": "missing_bananas", "pixel_value": 254, "saturation_threshold": 1, "relative_saturation": True},
]
AD2: Tree = {
    "can/train/good/000_regular.png": IMAGE,
    "can/validation/good/000_regular.png": IMAGE,
    "can/test_public/good/000_regular.png": IMAGE,
    "can/test_public/bad/000_regular.png": IMAGE,
    "can/test_public/ground_truth/bad/000_regular_mask.png": 255,
    "can/test_private/000_regular.png": IMAGE,
    "can/test_private_mixed/000_mixed.png": IMAGE,
}
MVTEC_3D: Tree = {
    f"bagel/{folder}/{part}/000.{ending}": content
    for folder in ("train/good", "validation/good", "test/good", "test/crack")
    for part, ending, content in (
        ("rgb", "png", IMAGE),
        ("xyz", "tiff", CLOUD),
        ("gt", "png", 255 if folder == "test/crack" else 0),
    )
    if folder.startswith("test/") or part != "gt"
}
EYECANDIES: Tree = {
    f"Confetto/{subset}/data/00_{what}": content
    for subset in ("train", "val", "test_public", "test_private")
    for what, content in {
        **{f"image_{light}.png": IMAGE for light in range(6)},
        "depth.png": IMAGE,
        "normals.png": IMAGE,
        "mask.png": 255 if subset == "test_public" else 0,
        "metadata.yaml": f"anomalous: {int(subset == 'test_public')}",
    }.items()
    if subset != "test_private" or what != "mask.png"
}
VISA: Tree = {
    **{f"pcb1/Data/Images/Normal/{name}.JPG": IMAGE for name in ("0000", "0001")},
    **{f"pcb1/Data/Images/Anomaly/{name}.JPG": IMAGE for name in ("000", "001", "002")},
    "pcb1/Data/Masks/Anomaly/000.png": 1,
    "pcb1/Data/Masks/Anomaly/001.png": BOTH,
    "pcb1/Data/Masks/Anomaly/002.png": 5,
    "pcb1/image_anno.csv": "image,label,mask\n"
    "pcb1/Data/Images/Normal/0000.JPG,normal,\n"
    'pcb1/Data/Images/Anomaly/001.JPG,"bent,scratch",pcb1/Data/Masks/Anomaly/001.png\n',
}
VISA_SPLIT = (
    "object,split,label,image,mask\n"
    "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,\n"
    "pcb1,test,normal,pcb1/Data/Images/Normal/0001.JPG,\n"
    + "".join(
        f"pcb1,test,anomaly,pcb1/Data/Images/Anomaly/00{n}.JPG,pcb1/Data/Masks/Anomaly/00{n}.png\n" for n in range(3)
    )
    + "candle,train,normal,candle/Data/Images/Normal/0000.JPG,\n"
)
VISA_FACTS: Facts = {
    "pcb1/Anomaly/000": labelled("Bent", "test"),
    "pcb1/Anomaly/001": (("Bent", "Scratch"), "test", "masks"),
    "pcb1/Anomaly/002": labelled("class_5", "test"),
    "pcb1/good/0000": GOOD_TRAIN,
    "pcb1/good/0001": GOOD_TEST,
}
DAGM: Tree = {
    **{f"Class1/{part}/{name}.PNG": IMAGE for part in ("Train", "Test") for name in ("0576", "0577")},
    "Class1/Train/Label/0577_label.PNG": 255,
    "Class1/Train/Label/Labels.txt": "1\n0576\t0\t0576.PNG\t0\t\n0577\t1\t0577.PNG\t0\t0577_label.PNG\n",
    "Class1/Test/Label/0576_label.PNG": 255,
    "Class1/Test/Label/Labels.txt": "1\n0576\t1\t0576.PNG\t0\t0576_label.PNG\n0577\t0\t0577.PNG\t0\t\n",
}
MPDD: Tree = {
    "tubes/train/good/000.png": IMAGE,
    "tubes/test/good/000.png": IMAGE,
    "tubes/test/anomalous/000.png": IMAGE,
    "tubes/ground_truth/anomalous/000_mask.png": 255,
    "__MACOSX/tubes/train/good/._000.png": b"Mac OS X",
    "__MACOSX/tubes/ground_truth/anomalous/._000_mask.png": b"Mac OS X",
}

STAND_INS = {
    "LOCO": StandIn(
        "mvtec-loco",
        {
            "breakfast_box/defects_config.json": json.dumps(LOCO_NAMES),
            "breakfast_box/license.txt": "",
            "breakfast_box/train/good/000.png": IMAGE,
            "breakfast_box/validation/good/000.png": IMAGE,
            "breakfast_box/test/good/000.png": IMAGE,
            "breakfast_box/test/logical_anomalies/000.png": IMAGE,
            "breakfast_box/test/structural_anomalies/000.png": IMAGE,
            "breakfast_box/ground_truth/logical_anomalies/000/000.png": 255,
            "breakfast_box/ground_truth/logical_anomalies/000/001.png": 254,
            "breakfast_box/ground_truth/structural_anomalies/000/000.png": 254,
        },
        {
            "breakfast_box/test/good/000": GOOD_TEST,
            "breakfast_box/test/logical_anomalies/000": (("missing_almonds", "missing_bananas"), "test", "masks"),
            "breakfast_box/test/structural_anomalies/000": labelled("missing_bananas", "test"),
            "breakfast_box/train/good/000": GOOD_TRAIN,
            "breakfast_box/val/good/000": GOOD_VAL,
        },
        product="breakfast_box",
    ),
    "AD 2": StandIn(
        "mvtec-ad2",
        AD2,
        {
            "can/test/bad/000_regular": labelled("bad", "test"),
            "can/test/good/000_regular": GOOD_TEST,
            "can/test/private/000_regular": ((), "test", "unlabelled"),
            "can/test/private_mixed/000_mixed": ((), "test", "unlabelled"),
            "can/train/good/000_regular": GOOD_TRAIN,
            "can/val/good/000_regular": GOOD_VAL,
        },
        product="can",
        notes=("2 image(s) carry no label: they are never called good, and never written",),
    ),
    "3D-AD": StandIn(
        "mvtec-3d",
        MVTEC_3D,
        {
            "bagel/test/crack/000": labelled("crack", "test"),
            "bagel/test/good/000": GOOD_TEST,
            "bagel/train/good/000": GOOD_TRAIN,
            "bagel/val/good/000": GOOD_VAL,
        },
        product="bagel",
        notes=("4 image file(s) are left out, as the layout mvtec-3d says",),
    ),
    "Eyecandies": StandIn(
        "eyecandies",
        EYECANDIES,
        {
            f"Confetto/{subset}/00/{light}": told
            for subset, told in {
                "test": labelled("defect", "test"),
                "test/private": ((), "test", "unlabelled"),
                "train": GOOD_TRAIN,
                "val": GOOD_VAL,
            }.items()
            for light in range(6)
        },
        product="Confetto",
    ),
    "VisA": StandIn("visa", {**VISA, "split_csv/1cls.csv": VISA_SPLIT}, VISA_FACTS, product="pcb1"),
    "VisA without its splits": StandIn(
        "visa", VISA, {key: (labels, "train", kind) for key, (labels, _, kind) in VISA_FACTS.items()}, product="pcb1"
    ),
    "VisA 1cls": StandIn(
        "mvtec",
        {
            "pcb1/train/good/0000.JPG": IMAGE,
            "pcb1/test/good/0001.JPG": IMAGE,
            "pcb1/test/bad/000.JPG": IMAGE,
            "pcb1/ground_truth/bad/000.png": 255,
        },
        {
            "pcb1/test/bad/000": labelled("bad", "test"),
            "pcb1/test/good/0001": GOOD_TEST,
            "pcb1/train/good/0000": GOOD_TRAIN,
        },
        product="pcb1",
    ),
    "VisA 2cls": StandIn(
        "visa-2cls",
        {
            "pcb1/train/good/0000.JPG": IMAGE,
            "pcb1/train/bad/000.JPG": IMAGE,
            "pcb1/test/good/0001.JPG": IMAGE,
            "pcb1/test/bad/001.JPG": IMAGE,
            "pcb1/ground_truth/train/bad/000.png": 255,
            "pcb1/ground_truth/test/bad/001.png": 255,
        },
        {
            "pcb1/test/bad/001": labelled("bad", "test"),
            "pcb1/test/good/0001": GOOD_TEST,
            "pcb1/train/bad/000": labelled("bad"),
            "pcb1/train/good/0000": GOOD_TRAIN,
        },
        product="pcb1",
    ),
    "BTAD": StandIn(
        "btad",
        {
            "01/train/ok/0000.bmp": IMAGE,
            "01/test/ok/0001.bmp": IMAGE,
            "01/test/ko/0000.bmp": IMAGE,
            "01/ground_truth/ko/0000.png": 255,
        },
        {"01/test/good/0001": GOOD_TEST, "01/test/ko/0000": labelled("ko", "test"), "01/train/good/0000": GOOD_TRAIN},
        product="01",
    ),
    "MPDD from a Mac": StandIn(
        "mvtec",
        MPDD,
        {
            "tubes/test/anomalous/000": labelled("anomalous", "test"),
            "tubes/test/good/000": GOOD_TEST,
            "tubes/train/good/000": GOOD_TRAIN,
        },
        product="tubes",
    ),
    "AutoVI": StandIn(
        "autovi",
        {
            "engine_wiring/defects_config.json": "[]",
            "engine_wiring/train/good/0000.png": IMAGE,
            "engine_wiring/test/good/0000.png": IMAGE,
            "engine_wiring/test/fastening/0001.png": IMAGE,
            "engine_wiring/ground_truth/fastening/0001/0000.png": 254,
            "engine_wiring/ground_truth/fastening/0001/0001.png": 254,
        },
        {
            "engine_wiring/test/fastening/0001": labelled("fastening", "test"),
            "engine_wiring/test/good/0000": GOOD_TEST,
            "engine_wiring/train/good/0000": GOOD_TRAIN,
        },
        product="engine_wiring",
    ),
    "GoodsAD": StandIn(
        "mvtec",
        {
            "cigarette_box/train/good/000001.jpg": IMAGE,
            "cigarette_box/test/good/000002.jpg": IMAGE,
            "cigarette_box/test/opened/000003.jpg": IMAGE,
            "cigarette_box/ground_truth/opened/000003.png": 255,
        },
        {
            "cigarette_box/test/good/000002": GOOD_TEST,
            "cigarette_box/test/opened/000003": labelled("opened", "test"),
            "cigarette_box/train/good/000001": GOOD_TRAIN,
        },
    ),
    "3CAD": StandIn(
        "mvtec",
        {
            "Aluminum_Camera_Cover/train/good/0.png": IMAGE,
            "Aluminum_Camera_Cover/test/good/0.png": IMAGE,
            "Aluminum_Camera_Cover/test/scratch/0.png": IMAGE,
            "Aluminum_Camera_Cover/ground_truth/scratch/0_mask.png": 255,
        },
        {
            "Aluminum_Camera_Cover/test/good/0": GOOD_TEST,
            "Aluminum_Camera_Cover/test/scratch/0": labelled("scratch", "test"),
            "Aluminum_Camera_Cover/train/good/0": GOOD_TRAIN,
        },
    ),
    "DAGM": StandIn(
        "dagm",
        DAGM,
        {
            "Class1/test/0576": labelled("defect", "test"),
            "Class1/test/0577": GOOD_TEST,
            "Class1/train/0576": GOOD_TRAIN,
            "Class1/train/0577": labelled("defect"),
        },
        product="Class1",
        notes=("DAGM: masks are coarse ellipses around the defects",),
    ),
    "KolektorSDD": StandIn(
        "kolektorsdd",
        {
            "kos01/Part0.jpg": IMAGE,
            "kos01/Part0_label.bmp": 255,
            "kos01/Part1.jpg": IMAGE,
            "kos01/Part1_label.bmp": 0,
            "kos02/Part0.jpg": IMAGE,
            "kos02/Part0_label.bmp": 1,
        },
        {"kos01/Part0": labelled("defect"), "kos01/Part1": GOOD_TRAIN, "kos02/Part0": labelled("defect")},
        notes=("KolektorSDD: 399 images are published; kos21/Part7, which its authors pass over, is read here",),
    ),
    "KolektorSDD2": StandIn(
        "kolektorsdd2",
        {
            "train/10000.png": IMAGE,
            "train/10000_GT.png": 0,
            "train/10001.png": IMAGE,
            "train/10001_GT.png": 255,
            "test/20000.png": IMAGE,
            "test/20000_GT.png": 255,
        },
        {"test/20000": labelled("defect", "test"), "train/10000": GOOD_TRAIN, "train/10001": labelled("defect")},
    ),
    "Magnetic Tile": StandIn(
        "magnetic-tile",
        {
            "MT_Blowhole/Imgs/exp1_num_1.jpg": IMAGE,
            "MT_Blowhole/Imgs/exp1_num_1.png": 130,
            "MT_Free/Imgs/exp1_num_2.jpg": IMAGE,
            "MT_Free/Imgs/exp1_num_2.png": 0,
        },
        {"Blowhole/exp1_num_1": labelled("Blowhole"), "good/exp1_num_2": GOOD_TRAIN},
        notes=("Magnetic Tile: masks are grey; values of 128 or more are taken as marked",),
    ),
    "NEU-Seg": StandIn(
        "neu-seg",
        {
            "images/training/000201.jpg": IMAGE,
            "images/test/000337.jpg": IMAGE,
            "images/test/000338.jpg": IMAGE,
            "annotations/training/000201.png": BOTH,
            "annotations/test/000337.png": 2,
            "annotations/test/000338.png": 0,
        },
        {
            "test/000337": labelled("patches", "test"),
            "test/000338": GOOD_TEST,
            "train/000201": (("inclusion", "scratches"), "train", "masks"),
        },
        root="NEU_Seg",
    ),
    "mmsegmentation": StandIn(
        "mmsegmentation",
        {
            "img_dir/train/a.jpg": IMAGE,
            "img_dir/val/b.jpg": IMAGE,
            "ann_dir/train/a.png": 255,
            "ann_dir/val/b.png": 0,
        },
        {"train/a": labelled("defect"), "val/b": GOOD_VAL},
    ),
    "Roboflow masks": StandIn(
        "roboflow-masks",
        {
            "train/a_jpg.rf.01.jpg": IMAGE,
            "train/a_jpg.rf.01_mask.png": 1,
            "train/_classes.csv": "Pixel Value, Class\n0, background\n1, dent\n2, scratch\n",
            "valid/b_jpg.rf.02.jpg": IMAGE,
            "valid/b_jpg.rf.02_mask.png": 1,
            "valid/_classes.csv": "Pixel Value, Class\n0, background\n1, scratch\n",
            "README.roboflow.txt": "",
        },
        {"train/a_jpg.rf.01": labelled("dent"), "val/b_jpg.rf.02": labelled("scratch", "val")},
    ),
    "images and masks": StandIn(
        "images-masks",
        {"images/a.JPG": IMAGE, "masks/a.png": 255, "images/b.JPG": IMAGE, "masks/b.png": 0},
        {"a": labelled("defect"), "b": GOOD_TRAIN},
    ),
    "imgs and labels by subset": StandIn(
        "images-masks",
        {
            "train/imgs/a.tif": IMAGE,
            "train/labels/a_mask.tif": 255,
            "test/imgs/b.tif": IMAGE,
            "test/labels/b_mask.tif": 255,
        },
        {"test/b": labelled("defect", "test"), "train/a": labelled("defect")},
    ),
    "Images and Ground_Truth, the subsets below": StandIn(
        "images-masks",
        {"Images/Train/a.png": IMAGE, "Ground_Truth/Train/a.PNG": 255},
        {"train/a": labelled("defect")},
    ),
    "images and masks by class": StandIn(
        "images-masks-classes",
        {"images/good/a.png": IMAGE, "images/dent/b.png": IMAGE, "masks/dent/b.png": 255},
        {"dent/b": labelled("dent"), "good/a": GOOD_TRAIN},
    ),
    "images and masks by product": StandIn(
        "images-masks-products",
        {
            "plate/train/images/a.png": IMAGE,
            "plate/train/masks/a.png": 255,
            "rod/test/images/b.png": IMAGE,
            "rod/test/masks/b.png": 0,
        },
        {"plate/train/a": labelled("defect"), "rod/test/b": GOOD_TEST},
    ),
    "masks beside images": StandIn(
        "mask-beside",
        {"a.jpg": IMAGE, "a_mask.png": 255, "b.jpg": IMAGE, "b_mask.png": 0},
        {"a": labelled("defect"), "b": GOOD_TRAIN},
    ),
    "good and bad": StandIn(
        "good-bad",
        {"OK/a.png": IMAGE, "NG/b.png": IMAGE, "NG/c.png": IMAGE},
        {"NG/b": (("NG",), "train", "class"), "NG/c": (("NG",), "train", "class"), "good/a": GOOD_TRAIN},
    ),
    "VAD": StandIn(
        "mvtec",
        {
            "train/good/a.png": IMAGE,
            "train/bad/b.png": IMAGE,
            "test/good/c.png": IMAGE,
            "test/bad/d.png": IMAGE,
            "test/bad_unseen_defects/e.png": IMAGE,
        },
        {
            "data/test/bad/d": (("bad",), "test", "class"),
            "data/test/bad_unseen_defects/e": (("bad_unseen_defects",), "test", "class"),
            "data/test/good/c": GOOD_TEST,
            "data/train/bad/b": (("bad",), "train", "class"),
            "data/train/good/a": GOOD_TRAIN,
        },
    ),
    "photos": StandIn(
        "photos", {"a.png": IMAGE, "b.jpg": IMAGE}, dict.fromkeys(("a", "b"), ((), "train", "unlabelled"))
    ),
}
"""Name -> stand-in."""
