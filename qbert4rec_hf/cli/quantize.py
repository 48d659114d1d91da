"""`qbert4rec quantize`: stage 2 and the semantic IDs."""

from __future__ import annotations

import argparse

from .run_options import add_run_arguments, opened_run

HELP = "Stage 2: train the quantizer and give every item its semantic ID."
EXAMPLE = """
qbert4rec quantize --output-dir runs/shop
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    with opened_run(arguments) as run:
        run.quantize()
