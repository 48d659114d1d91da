"""`qbert4rec import`: published splits become a domain folder."""

from __future__ import annotations

import argparse

HELP = "Turn a published split (MQL4GRec / LC-Rec form) into a domain folder."
EXAMPLE = """
qbert4rec import examples/published_sample --output-dir domains/sample
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", help="folder with X.inter.json, X.item2id and the like"
    )
    parser.add_argument("--output-dir", required=True, help="domain folder to write")
    parser.add_argument("--name", help="the X of the files, where the folder holds several sets")
    parser.add_argument("--seed", type=int, default=0, help="seed that shuffles the item rows")


def run(arguments: argparse.Namespace) -> None:
    from ..data.import_published import import_published

    imported = import_published(arguments.source, name=arguments.name, seed=arguments.seed)
    folder = imported.save(arguments.output_dir)
    info = imported.domain.info
    print(
        f"{folder}: {info.num_items:,} items, {info.num_users:,} users, "
        f"{info.num_interactions:,} interactions"
    )
    for key, codes in imported.codes.items():
        print(
            f"  codes {key!r}: {codes.codes.shape[1]} levels, {codes.num_distinct:,} of "
            f"{info.num_items:,} items distinct, {int(codes.collides.sum()):,} share theirs"
        )
