"""`qbert4rec pretrain`: stage 3, first half."""

from __future__ import annotations

import argparse

from .run_options import add_run_arguments, opened_run

HELP = "Stage 3a: pre-train the sequence model with multi-mask objectives."
EXAMPLE = """
qbert4rec pretrain --output-dir runs/shop
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    with opened_run(arguments) as run:
        run.pretrain()
