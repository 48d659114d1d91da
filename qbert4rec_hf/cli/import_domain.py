"""`qbert4rec import`: data sets of other projects become a domain folder."""

from __future__ import annotations

import argparse

from ..errors import QBert4RecError

HELP = "Turn a data set in the form of MQL4GRec / LC-Rec or of RecBole into a domain folder."
EXAMPLE = """
qbert4rec import examples/published_sample --output-dir domains/sample
"""

AUTO, PUBLISHED, RECBOLE = FORMATS = ("auto", "published", "recbole")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder with X.inter.json, X.item2id and the like, or with X.inter and X.item",
    )
    parser.add_argument("--output-dir", required=True, help="domain folder to write")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=AUTO,
        help="published: MQL4GRec / LC-Rec; recbole: atomic files; auto: by the files' names",
    )
    parser.add_argument("--name", help="the X of the files, where the folder holds several sets")
    parser.add_argument("--seed", type=int, default=0, help="seed that shuffles the item rows")
    parser.add_argument(
        "--tie-seed", type=int, default=0, help="seed that orders equal time stamps (recbole)"
    )


def run(arguments: argparse.Namespace) -> None:
    form = _format_of(arguments.source) if arguments.format == AUTO else arguments.format
    if form == RECBOLE:
        from ..data.import_recbole import import_recbole

        imported = import_recbole(
            arguments.source,
            name=arguments.name,
            seed=arguments.seed,
            tie_seed=arguments.tie_seed,
        )
    else:
        if arguments.tie_seed:
            raise QBert4RecError(
                "--tie-seed orders equal time stamps, and the form of MQL4GRec / LC-Rec has none; "
                "leave it out"
            )
        from ..data.import_published import import_published

        imported = import_published(arguments.source, name=arguments.name, seed=arguments.seed)
    folder = imported.save(arguments.output_dir)
    info = imported.domain.info
    print(
        f"{folder}: {info.num_items:,} items, {info.num_users:,} users, "
        f"{info.num_interactions:,} interactions"
    )
    print(f"  {imported.domain.split().splitting('test').note}")
    for key, codes in imported.codes.items():
        print(
            f"  codes {key!r}: {codes.codes.shape[1]} levels, {codes.num_distinct:,} of "
            f"{info.num_items:,} items distinct, {int(codes.collides.sum()):,} share theirs"
        )


def _format_of(source: str) -> str:
    """The form of what is there, by the names of its files."""
    from pathlib import Path

    path = Path(source)
    if path.is_file():
        return RECBOLE if path.suffix == ".inter" else PUBLISHED
    published, recbole = any(path.glob("*.inter.json")), any(path.glob("*.inter"))
    if published and recbole:
        raise QBert4RecError(
            f"{source} holds both X.inter.json and X.inter; say which with --format "
            f"{PUBLISHED} or {RECBOLE}"
        )
    return RECBOLE if recbole else PUBLISHED
