"""`qbert4rec recommend`: what to show a user with this history."""

from __future__ import annotations

import argparse

HELP = "Recommend items for a history of item ids."
EXAMPLE = """
qbert4rec recommend demo/run/model --history ITEM ITEM
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model folder")
    parser.add_argument(
        "--history",
        nargs="*",
        default=[],
        metavar="ITEM",
        help="item ids, oldest first; none for a new user",
    )
    parser.add_argument("--top-k", type=int, default=10, help="how many items")
    parser.add_argument(
        "--exclude-seen",
        action=argparse.BooleanOptionalAction,
        help="leave out what is in the history; the model knows its domain's habit",
    )


def run(arguments: argparse.Namespace) -> None:
    from ..ranking.recommender import Recommender

    recommender = Recommender.from_pretrained(arguments.model)
    raise NotImplementedError(recommender)
