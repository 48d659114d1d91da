"""`qbert4rec images`: the pictures of a domain come into its folder."""

from __future__ import annotations

import argparse
import re
import sys

HELP = "Download the pictures whose addresses the items of a domain list."
EXAMPLE = """
qbert4rec images demo/domains/weekend
"""

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g)?(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}


def amount(text: str) -> int:
    """A number with a unit, such as 20MB, 40M or 512KiB."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount; write it as 20MB, 40M or 500000")
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** _POWERS[(match[2] or "").lower()])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="domain folder")
    parser.add_argument("--concurrency", type=int, default=16, help="pictures at the same time")
    parser.add_argument("--per-host", type=int, default=8, help="of these, from one host")
    parser.add_argument(
        "--timeout", type=float, default=20.0, help="seconds to wait for an answer or more of it"
    )
    parser.add_argument("--retries", type=int, default=4, help="further tries an address")
    parser.add_argument(
        "--max-bytes", type=amount, default="20MB", help="larger files are left out"
    )
    parser.add_argument(
        "--max-pixels", type=amount, default="40M", help="larger pictures are left out"
    )
    parser.add_argument(
        "--max-side", type=int, default=512, help="longest side of a stored picture, in pixels"
    )
    parser.add_argument(
        "--max-images", type=int, default=4, help="addresses an item that are fetched"
    )
    parser.add_argument(
        "--placeholder-repeats",
        type=int,
        default=20,
        metavar="N",
        help="the same file from N addresses stands for a missing picture; 0 believes it",
    )
    parser.add_argument(
        "--allow-private-addresses",
        action="store_true",
        help="also fetch from this machine and from private networks",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="try again what failed in an earlier run"
    )


def run(arguments: argparse.Namespace) -> None:
    from dataclasses import fields

    from ..data.image_download.download import download_images
    from ..data.image_download.manifest import MANIFEST_FILE
    from ..data.image_download.settings import DownloadSettings

    given = vars(arguments)
    settings = DownloadSettings(
        **{
            field.name: given[field.name]
            for field in fields(DownloadSettings)
            if field.name in given
        }
    )
    summary = download_images(
        arguments.domain, settings, progress=sys.stderr.isatty() and not arguments.quiet
    )
    share = summary.items_with_picture / summary.items if summary.items else 0.0
    print(
        f"{arguments.domain}: {summary.items_with_picture:,} of {summary.items:,} items "
        f"({share:.1%}) have at least one picture"
    )
    if summary.missing_files:
        print(f"  {summary.missing_files:,} local files that items list do not exist")
    if not summary.addresses:
        print("  no item lists an address on the web")
        return
    rate = summary.fetched / summary.seconds if summary.fetched and summary.seconds else 0.0
    speed = f", {rate:,.0f} a second" if rate else ""
    print(
        f"  {summary.addresses:,} addresses, {summary.fetched:,} of them asked now{speed}: "
        f"{summary.pictures:,} pictures in {summary.files:,} files, {summary.failed:,} failed"
    )
    for reason, count in summary.reasons.most_common():
        print(f"  {count:9,}  {reason}")
    if summary.failed:
        print(f"  each address: {MANIFEST_FILE}; --retry-failed tries the failed ones again")
