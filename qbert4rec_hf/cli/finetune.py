"""`qbert4rec finetune`: stage 3, second half."""

from __future__ import annotations

import argparse

from .run_options import add_run_arguments, opened_run

HELP = "Stage 3b: fine-tune on the target domain and write the model folder."
EXAMPLE = """
qbert4rec finetune --output-dir runs/shop
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    with opened_run(arguments) as run:
        run.finetune()
