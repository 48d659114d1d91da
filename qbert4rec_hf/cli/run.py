"""`qbert4rec run`: all stages in their order."""

from __future__ import annotations

import argparse

from .run_options import add_run_arguments, opened_run

HELP = "Do all stages for a domain, or fine-tune a trained model on it: from items to a report."
EXAMPLE = """
qbert4rec run --domain demo/domains/weekend --output-dir runs/shop
qbert4rec run --from demo/run/model --domain demo/domains/home --output-dir runs/home
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    with opened_run(arguments) as run:
        from ..evaluation.report import REPORT_FILE
        from ..evaluation.tables import markdown_table
        from ..hub.run_card import write_card

        print(markdown_table(run.all()))
        print(f"Report: {run.path('report') / REPORT_FILE}")
        print(f"Model:  {run.path('model')}")
        print(f"Card:   {write_card(run.folder)}")
