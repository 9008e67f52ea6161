"""How datasets, labels and reports show themselves in a notebook: HTML that fits a light page and a dark one.

Styles stand in the elements, since a notebook that is not trusted drops style sheets. Every text is escaped.
"""

from __future__ import annotations

import base64
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError
from toolkit.geometry.labels import GOOD, Instance, LabelledImage

if TYPE_CHECKING:
    import jinja2

    from toolkit.dataset.samples import Dataset

__all__ = ["dataset_html", "labelled_html", "manifests_html", "report_html"]

_SIDE = 512  # pixels of a picture's longer side
_BLANK = 128  # grey of an image that is not there
_SHOWN = 20  # lines of a list

_TEMPLATE = """\
{%- macro cell(tag, value, first, border) -%}
<{{ tag }} style="padding: .2em .8em; text-align: {{ 'left' if first else 'right' }}; border: 0; \
border-bottom: {{ border }}">{{ value }}</{{ tag }}>
{%- endmacro -%}
<div style="max-width: 60em">
<p style="margin: .5em 0"><strong>{{ title }}</strong><br>{{ about }}</p>
{%- if picture %}
<img src="data:image/png;base64,{{ picture }}" alt="{{ title }}" style="display: block; max-width: 100%">
{%- endif %}
{%- if rows %}
<table style="border-collapse: collapse; margin: .5em 0; color: inherit; background: none">
<thead><tr style="background: none">
{%- for name in header %}
{{ cell("th", name, loop.first, "1px solid #8888") }}
{%- endfor %}
</tr></thead>
<tbody>
{%- for row in rows %}
<tr style="background: none">
{%- for value in row %}
{{ cell("td", value, loop.first, "1px solid #8883") }}
{%- endfor %}
</tr>
{%- endfor %}
</tbody>
</table>
{%- endif %}
{%- for name, lines in lists.items() if lines %}
<p style="margin: .5em 0 0">{{ name }}</p>
<ul style="margin: 0">
{%- for line in lines[:shown] %}
<li>{{ line }}</li>
{%- endfor %}
{%- if lines | length > shown %}
<li>and {{ lines | length - shown }} more</li>
{%- endif %}
</ul>
{%- endfor %}
</div>
"""


@cache
def _template() -> jinja2.Template:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_TEMPLATE)


def report_html(
    title: str,
    about: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    lists: Mapping[str, Sequence[object]] | None = None,
    picture: bytes = b"",
) -> str:
    """A title, a line about it, a picture, a table and lists, each as far as there is one.

    Args:
        title, about: text.
        header: names of the columns; the first holds text, the others numbers.
        rows: what stands in the table.
        lists: heading -> lines; empty lists are left out, long ones cut.
        picture: a PNG file.
    """
    html = _template().render(
        title=title,
        about=about,
        header=header,
        rows=rows,
        lists=lists or {},
        picture=base64.b64encode(picture).decode(),
        shown=_SHOWN,
    )
    return html.encode(errors="backslashreplace").decode()  # paths need not be text


def dataset_html(dataset: Dataset) -> str:
    """A dataset: images by class and subset, or by product where it has several; and what its names tell is wrong."""
    single = len(dataset.categories) == 1
    counts = Counter((sample.defect if single else sample.category, sample.split) for sample in dataset)
    subsets = [name for name in ("train", "val", "test") if any(key[1] == name for key in counts)]
    names = sorted({name for name, _ in counts}, key=lambda name: (name != GOOD or not single, name))
    rows = [
        [name, *(counts[name, subset] for subset in subsets), sum(counts[name, subset] for subset in subsets)]
        for name in names
    ]
    products = dataset.categories[0] if single else f"{len(dataset.categories)} products"
    return report_html(
        f"Dataset {dataset.root}",
        f"{products}, {len(dataset)} images, {len(dataset.classes())} kinds of defect, layout {dataset.layout}",
        ["class" if single else "product", *subsets, "images"],
        rows,
        lists={"Notes": dataset.notes, "Problems, as far as names tell": dataset.layout_problems},
    )


def labelled_html(labelled: LabelledImage) -> str:
    """An image with its defects marked, at most 512 pixels wide and high, and how much each class covers."""
    classes = sorted({instance.label for instance in labelled.instances})
    size = labelled.width * labelled.height
    rows = []
    for name in classes:
        areas = [instance.area for instance in labelled.instances if instance.label == name]
        rows.append([name, len(areas), sum(areas), f"{sum(areas) / size:.2%}"])
    picture, problems = _overlay(labelled, classes)
    subset = f", {labelled.subset}" if labelled.subset else ""
    return report_html(
        labelled.key,
        f"{labelled.width} x {labelled.height} pixels{subset}, {labelled.image_label}",
        ["class", "instances", "pixels", "of the image"],
        rows,
        lists={"Problems": problems},
        picture=picture,
    )


def _overlay(labelled: LabelledImage, classes: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """The picture as PNG, and why it is a grey area if there should be an image in it."""
    import cv2

    from toolkit.imaging.images import encode_png, read_image

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm, for bars that are not shown here
        from toolkit.plotting.overlays import draw_overlay
    small = _shrink(labelled)
    image: npt.NDArray[np.uint8] = np.full((small.height, small.width, 3), _BLANK, np.uint8)
    problems: tuple[str, ...] = ()
    if labelled.path is not None:
        try:
            whole = read_image(labelled.path)
            if whole.shape[:2] == (labelled.height, labelled.width):
                image = np.asarray(cv2.resize(whole, (small.width, small.height), interpolation=cv2.INTER_AREA))
            else:
                height, width = whole.shape[:2]
                problems = (f"{labelled.path}: is {width} x {height} pixels, its labels are for another size",)
        except ToolkitError as error:
            problems = (str(error),)
    return encode_png(draw_overlay(image, small, classes=classes)), problems


def _shrink(labelled: LabelledImage) -> LabelledImage:
    """The labels of an image as it is shown; marks drawn at full size would fade when they are scaled."""
    factor = min(1.0, _SIDE / max(labelled.width, labelled.height))
    if factor == 1.0:
        return labelled
    width, height = (max(1, round(side * factor)) for side in (labelled.width, labelled.height))
    instances = []
    for instance in labelled.instances:
        y, x = np.nonzero(instance.mask)
        x = np.minimum((x + instance.bbox[0]) * width // labelled.width, width - 1)
        y = np.minimum((y + instance.bbox[1]) * height // labelled.height, height - 1)
        x0, y0, x1, y1 = int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1
        mask = np.zeros((y1 - y0, x1 - x0), np.bool_)
        mask[y - y0, x - x0] = True
        instances.append(Instance(instance.label, (x0, y0, x1, y1), mask, int(mask.sum())))
    return replace(labelled, width=width, height=height, instances=tuple(instances))


def manifests_html(
    title: str, about: str, manifests: Mapping[str, Mapping[str, Any]], lists: Mapping[str, Sequence[object]]
) -> str:
    """Label trees that were written: what is in each, and how exact it is.

    Args:
        title, about: text.
        manifests: format -> its manifest.
        lists: heading -> lines below the table.
    """
    rows = []
    for name, manifest in manifests.items():
        counts = list(manifest["subsets"].values())
        sums = [sum(subset[part] for subset in counts) for part in ("images", "instances", "background")]
        fidelity, skipped = manifest["fidelity"], manifest["components"]["skipped"]
        exact = f"{fidelity['exact']} of {fidelity['images']}"
        rows.append([name, *sums, exact, f"{fidelity['min_iou']:.4f}", len(skipped)])
    header = ["format", "images", "instances", "background", "exact", "min IoU", "left out"]
    return report_html(title, about, header, rows, lists=lists)
