"""Getting a dataset from Kaggle, for those who have an account there: kagglehub downloads, this explains."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError

__all__ = ["MVTEC_HANDLE", "download_from_kaggle"]

MVTEC_HANDLE = "ipythonx/mvtec-ad"
"""A copy of MVTec AD on Kaggle, made by a third party."""

_PAGE = "https://www.kaggle.com/datasets"
_HANDLE = re.compile(r"[\w-]+/[\w-]+(/versions/\d+)?")
_TOKEN = (
    "on kaggle.com open Settings > API > Create New Token, and put kaggle.json into {folder} (or set KAGGLE_API_TOKEN)"
)


def download_from_kaggle(handle: str = MVTEC_HANDLE) -> Path:
    """Download a dataset into kagglehub's cache, unless it is there.

    Args:
        handle: OWNER/DATASET or OWNER/DATASET/versions/NUMBER.

    Returns:
        The folder that holds it.

    Raises:
        ToolkitError: kagglehub is missing, there are no credentials, Kaggle can't be reached, or it refuses.
    """
    name = f"kaggle:{handle}"
    if not _HANDLE.fullmatch(handle):
        raise ToolkitError(name, "is no dataset of Kaggle", f"name it OWNER/DATASET, for instance {MVTEC_HANDLE}")
    try:
        with _off_stdout():
            hub: Any = import_module("kagglehub")
            errors: Any = import_module("kagglehub.exceptions")
            requests: Any = import_module("requests")
    except ImportError as error:
        raise ToolkitError(name, f"needs kagglehub ({error})", "pip install 'defectkit[kaggle]'") from error
    _check_credentials(name)
    by_hand = f"or download {_PAGE}/{handle.partition('/versions/')[0]} in a browser, and prepare the zip"
    try:
        with _off_stdout():
            return Path(hub.dataset_download(handle))
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        remedy = f"check the name and your token ({_token()}); {by_hand}"
        raise ToolkitError(name, f"Kaggle refuses it ({status})", remedy) from error
    except requests.RequestException as error:
        problem = f"Kaggle cannot be reached ({type(error).__name__})"
        raise ToolkitError(name, problem, f"check the network and call again, it goes on; {by_hand}") from error
    except errors.DataCorruptionError as error:
        raise ToolkitError(name, "came damaged", f"call again; {by_hand}") from error
    except OSError as error:
        problem = f"cannot be stored ({error.strerror or error})"
        raise ToolkitError(name, problem, "free space, or set KAGGLEHUB_CACHE to another folder") from error


def _check_credentials(name: str) -> None:
    config: Any = import_module("kagglehub.config")
    try:
        found = config.get_kaggle_credentials()
    except (ValueError, OSError) as error:
        raise ToolkitError(name, f"its token cannot be read ({error})", _token()) from error
    if not found:
        raise ToolkitError(name, "needs a Kaggle account, and there is no token of one", _token())


def _token() -> str:
    config: Any = import_module("kagglehub.config")
    return _TOKEN.format(folder=Path(config._get_kaggle_credentials_file()).parent)


@contextmanager
def _off_stdout() -> Iterator[None]:
    """Keep what kagglehub prints away from stdout, which is for our JSON; and off stderr if that is no terminal."""
    shown = sys.stderr is not None and sys.stderr.isatty()
    aside = sys.stderr if shown else io.StringIO()
    with redirect_stdout(aside), redirect_stderr(aside):
        yield
