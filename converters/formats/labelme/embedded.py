"""Images that LabelMe's files hold in themselves (`imageData`), written out beside them.

python -m converters.formats.labelme.embedded ROOT
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from converters.formats.image_files import plain_name
from converters.formats.labelme.document import LabelmeFile, read_labelme
from converters.formats.labelme.drawing import decode_base64
from converters.formats.labelme.files import json_files
from converters.formats.labelme.images import ImageNames
from toolkit.dataset.layouts.files import list_files
from toolkit.errors import ToolkitError
from toolkit.files.reach import check_links
from toolkit.imaging.limits import check_claimed_size
from toolkit.imaging.opening import check_whole, open_with_pillow
from toolkit.imaging.orientation import is_transposed, orientation_of

__all__ = ["embedded_size", "extraction", "write_images"]

_ENDINGS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}


def extraction(root: Path) -> str:
    """The command that writes the images of a root out, as a remedy has it."""
    return f"'python -m converters.formats.labelme.embedded {root}'"


def embedded_size(document: LabelmeFile) -> tuple[int, int] | None:
    """Width and height of the image that a file holds, upright; None where it holds none.

    Raises:
        ToolkitError: it is damaged, or larger than any that is read.
    """
    return _opened(document)[1] if document.embedded else None


def _opened(document: LabelmeFile) -> tuple[bytes, tuple[int, int], str]:
    """The bytes, the upright size and the kind of the image that a file holds.

    Raises:
        ToolkitError: it is damaged, or larger than any that is read.
    """
    place = Path(f"{document.path}: imageData")
    data = decode_base64(document.embedded, place, "the image that it holds")
    check_whole(place, data)
    with open_with_pillow(place, data) as image:
        width, height = image.size
        kind = image.format or ""
    check_claimed_size(place, width, height)
    return data, (height, width) if is_transposed(orientation_of(data)) else (width, height), kind


def write_images(root: Path) -> Iterator[Path]:
    """Write each image that is not there and that its file holds, beside the file; what is there stays.

    Yields:
        each image that was written.

    Raises:
        ToolkitError: a file cannot be read, or what it holds is damaged.
    """
    check_links(root)
    files = list_files(root)
    names = ImageNames(files.images)
    for label in json_files(files):
        document = read_labelme(root / label)
        if document is None or not document.embedded or names.of(label, document.image) is not None:
            continue
        data, _, kind = _opened(document)
        name = PurePosixPath(plain_name(document.image)).name
        if PurePosixPath(name).suffix.lower() not in _ENDINGS.get(kind, (".png",)):
            name = PurePosixPath(label).stem + _ENDINGS.get(kind, (".png",))[0]  # LabelMe keeps others as PNG or JPEG
        target = (root / label).parent / name
        with open(target, "xb") as file:
            file.write(data)
        yield target


def main() -> int:
    """Write the images of the roots that are named."""
    try:
        for root in sys.argv[1:]:
            for path in write_images(Path(root)):
                print(path)
    except ToolkitError as error:
        print(f"error: {error.with_flags}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename}: cannot be written ({error.strerror}); make room for it", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
