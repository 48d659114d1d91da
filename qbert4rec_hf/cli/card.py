"""`qbert4rec card`: the model card of a finished run."""

from __future__ import annotations

import argparse

HELP = "Render the model card of a finished run from what its folders say."
EXAMPLE = """
qbert4rec card demo/run --output model_cards/demo.md
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="run folder, with its report")
    parser.add_argument(
        "--output", metavar="FILE", help="file to write; README.md of the run's model by default"
    )
    parser.add_argument(
        "--model", metavar="ID", help="what the card's snippets open; the run's model by default"
    )
    parser.add_argument("--name", help="name of the model; after its domain by default")
    parser.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="ID",
        help="dataset of the Hub that holds the domain, for the metadata; repeatable, the domain "
        "recommended in first",
    )


def run(arguments: argparse.Namespace) -> None:
    from ..hub.run_card import write_card
    from .console import prepare

    prepare(arguments.quiet)
    print(
        write_card(
            arguments.run_folder,
            arguments.output,
            model=arguments.model,
            name=arguments.name,
            datasets=arguments.dataset,
        )
    )
