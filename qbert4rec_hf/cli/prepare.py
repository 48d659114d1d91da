"""`qbert4rec prepare`: raw reviews, metadata and pictures become a domain folder."""

from __future__ import annotations

import argparse

from ..data.readers.options import FORMATS, TIME_UNITS
from ..errors import QBert4RecError

HELP = "Turn raw reviews and metadata (Amazon of any year, a shop's own log) into a domain folder."
WHEN_INTERRUPTED = "nothing was written; the same command starts afresh"
EXAMPLE = (
    "qbert4rec prepare --reviews examples/shop_sample/interactions.csv "
    "--metadata examples/shop_sample/items.csv --k-core 0 --output-dir domains/shop"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reviews",
        nargs="+",
        required=True,
        metavar="FILE",
        help="who took what and when: files (plain, .gz, .zst) or hub:owner/name[:config[:split]]",
    )
    parser.add_argument(
        "--metadata", nargs="+", default=[], metavar="FILE", help="what is known of the items"
    )
    parser.add_argument(
        "--images", metavar="FOLDER", help="pictures named by item id (ITEM.jpg), to be copied"
    )
    parser.add_argument("--output-dir", required=True, help="domain folder to write")
    parser.add_argument("--name", help="short name of the domain; that of the folder by default")

    files = parser.add_argument_group("what the files are, where it cannot be told from them")
    files.add_argument("--format", metavar="F", help=f"of all files; one of {', '.join(FORMATS)}")
    files.add_argument(
        "--column",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=NAME",
        help="the file's own name of user_id, item_id, rating, timestamp, title, text, images, "
        "brand, categories or price, such as user_id=customer",
    )
    files.add_argument(
        "--time-unit", choices=TIME_UNITS, default="auto", help="of numeric time stamps"
    )
    files.add_argument("--strict", action="store_true", help="malformed lines are errors")
    files.add_argument(
        "--allow-truncated",
        action="store_true",
        help="take what can be read of a compressed file that stops in the middle",
    )

    cleaning = parser.add_argument_group("cleaning, in this order")
    cleaning.add_argument(
        "--since", metavar="DATE", help="first day to keep, such as 2016-01-01 (UTC)"
    )
    cleaning.add_argument("--until", metavar="DATE", help="last day to keep")
    cleaning.add_argument("--min-rating", type=float, metavar="R", help="lowest rating to keep")
    cleaning.add_argument(
        "--merge-identical",
        action="store_true",
        help="items with the same title, text, images and brand become one",
    )
    cleaning.add_argument(
        "--items-without-metadata",
        choices=["keep", "drop"],
        default="keep",
        help="items that the metadata does not have (default: %(default)s)",
    )
    cleaning.add_argument(
        "--repeats",
        choices=["first", "keep"],
        default="first",
        help="an item that a user takes again (default: the first time only)",
    )
    cleaning.add_argument(
        "--k-core",
        type=int,
        default=5,
        metavar="K",
        help="each user and item has at least K interactions (default: %(default)s); with 0, items "
        "of the metadata that nobody has yet are kept too",
    )
    cleaning.add_argument("--user-core", type=int, metavar="K", help="K for users alone")
    cleaning.add_argument("--item-core", type=int, metavar="K", help="K for items alone")
    cleaning.add_argument(
        "--max-history", type=int, metavar="N", help="the latest N interactions of a user are kept"
    )

    split = parser.add_argument_group("order and split")
    split.add_argument(
        "--ties",
        choices=["keep", "drop-users"],
        default="keep",
        help="users whose held-out item has the time stamp of its neighbour: evaluated or not "
        "(default: %(default)s)",
    )
    split.add_argument(
        "--split",
        choices=["leave-one-out", "temporal"],
        default="leave-one-out",
        help="temporal: one cut-off in time for everybody (default: %(default)s)",
    )
    split.add_argument(
        "--validation-from",
        metavar="DATE",
        help="first day after training; by default a tenth of the interactions lies in validation",
    )
    split.add_argument(
        "--test-from",
        metavar="DATE",
        help="first day of the test; by default a tenth of the interactions lies in it",
    )
    split.add_argument(
        "--seed", type=int, default=0, help="shuffles item rows and orders equal time stamps"
    )

    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--memory-limit",
        default="3GB",
        metavar="SIZE",
        help="of the engine, which uses the disk beyond (default: %(default)s)",
    )
    machine.add_argument(
        "--threads", type=int, metavar="N", help="of the engine; all of the machine by default"
    )


def run(arguments: argparse.Namespace) -> None:
    from ..data.prepare.pipeline import prepare_domain
    from ..data.prepare.settings import PrepareSettings
    from ..data.readers.options import ReadOptions

    reading = ReadOptions(
        format=arguments.format,
        columns=_columns(arguments.column),
        time_unit=arguments.time_unit,
        strict=arguments.strict,
        allow_truncated=arguments.allow_truncated,
    )
    cores = [
        arguments.k_core if core is None else core
        for core in (arguments.user_core, arguments.item_core)
    ]
    settings = PrepareSettings(
        since=arguments.since,
        until=arguments.until,
        min_rating=arguments.min_rating,
        merge_identical=arguments.merge_identical,
        items_without_metadata=arguments.items_without_metadata,
        repeats=arguments.repeats,
        user_core=cores[0],
        item_core=cores[1],
        max_history=arguments.max_history,
        ties=arguments.ties,
        split=arguments.split.replace("-", "_"),
        validation_from=arguments.validation_from,
        test_from=arguments.test_from,
        seed=arguments.seed,
    )
    print(
        prepare_domain(
            arguments.reviews,
            arguments.output_dir,
            metadata=arguments.metadata,
            images=arguments.images,
            name=arguments.name,
            settings=settings,
            reading=reading,
            memory_limit=arguments.memory_limit,
            threads=arguments.threads,
        )
    )


def _columns(pairs: list[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        field, separator, name = pair.partition("=")
        if not separator or not name:
            raise QBert4RecError(f"--column {pair}: write FIELD=NAME, such as user_id=customer")
        columns[field] = name
    return columns
