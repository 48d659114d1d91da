"""`qbert4rec evaluate`: the figures of a finished model on a domain."""

from __future__ import annotations

import argparse
import sys

HELP = "Rank the whole catalogue for every test user and print HR and NDCG."
EXAMPLE = """
qbert4rec evaluate demo/run/model --domain demo/domains/weekend
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model folder")
    parser.add_argument("--domain", required=True, help="domain folder")
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--json", metavar="FILE", help="write everything measured to this file")
    parser.add_argument("--batch-size", type=int, default=256, help="users at a time")


def run(arguments: argparse.Namespace) -> None:
    from ..evaluation.tables import markdown_table
    from ..runs.evaluation import evaluate_model, save_results
    from .console import prepare

    prepare(arguments.quiet)
    results = evaluate_model(
        arguments.model,
        arguments.domain,
        split=arguments.split,
        batch_size=arguments.batch_size,
        progress=sys.stderr.isatty() and not arguments.quiet,
    )
    # Printed first: a file that cannot be written must not cost the figures.
    print(markdown_table(results))
    if arguments.json:
        save_results(results, arguments.json)
