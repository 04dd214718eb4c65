"""`gesture-agent engines export`: exports the networks for other programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, warn
from agent.config.folders import cache_folder

EPILOG = examples(
    "gesture-agent engines export --deepstream /opt/gestures",
    "gesture-agent engines export --deepstream out --gestures gesturenet-nvidia",
)


def export(
    deepstream: Annotated[
        Path, typer.Option("--deepstream", metavar="DIR", help="Output folder; created if missing.")
    ],
    gestures: Annotated[
        str,
        typer.Option("--gestures", metavar="NAME", help="Classifier; one that takes upright crops."),
    ] = "gesturenet",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Export configuration, labels and networks for DeepStream's nvinfer.

    A secondary engine for the gestures and a primary one for BodyPoseNet, with notes for the parser. Without
    BodyPoseNet on this machine only its configuration is written.
    """
    from agent.inference.nvidia.deepstream import export as write

    cache = cache_folder(loaded(config).settings.agent, os.environ)
    done = write(deepstream, cache, gestures)
    if as_json:
        echo_json({"files": [str(path) for path in done.files], "left_out": list(done.left_out)})
        return
    for path in done.files:
        typer.echo(path)
    for reason in done.left_out:
        warn(f"skipped: {reason}")
