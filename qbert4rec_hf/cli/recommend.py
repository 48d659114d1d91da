"""`qbert4rec recommend`: what to show a user with this history."""

from __future__ import annotations

import argparse

HELP = "Recommend items for a history of item ids."
EXAMPLE = """
qbert4rec recommend demo/run/model --history WK-20516 WK-36874
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model folder, or the id of a repository")
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
    parser.add_argument(
        "--skip-unknown",
        action="store_true",
        help="leave out item ids that the catalogue lacks, instead of stopping",
    )


def run(arguments: argparse.Namespace) -> None:
    from ..ranking.recommender import Recommender
    from .console import prepare

    prepare(arguments.quiet)
    recommender = Recommender.from_pretrained(arguments.model)
    found = recommender.recommend(
        arguments.history,
        top_k=arguments.top_k,
        exclude_seen=arguments.exclude_seen,
        unknown="skip" if arguments.skip_unknown else "error",
    )
    if any(item.cold_start for item in found):
        print("Nothing is known of this history: these are the most popular items.")
    width = max((len(item.item_id) for item in found), default=0)
    for place, item in enumerate(found, start=1):
        # What a shop calls its items must not steer the terminal.
        line = f"{place:3d}  {item.score:.4f}  {item.item_id:{width}s}  {item.title or ''}"
        print("".join(c if c.isprintable() else " " for c in line).rstrip())
