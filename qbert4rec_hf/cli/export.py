"""`qbert4rec export`: what is here in the form that other projects read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import QBert4RecError

if TYPE_CHECKING:
    from ..data.codes import ImportedCodes
    from ..data.domain import Domain

HELP = "Write a domain folder for RecBole or MQL4GRec / LC-Rec, or a model folder as ONNX."
EXAMPLE = """
qbert4rec export demo/domains/weekend --format recbole --output-dir exports/weekend
qbert4rec export demo/run/model --format onnx --output-dir exports/onnx
"""


@dataclass(frozen=True)
class Format:
    """A form to write.

    Args:
        help: what it is, in a few words.
        run: does it.
        add_arguments: adds the options that this form alone has to a group of its own.
        options: names of these options; what is not said is false.
    """

    help: str
    run: Callable[[argparse.Namespace], None]
    add_arguments: Callable[[argparse._ArgumentGroup], None] | None = None
    options: tuple[str, ...] = ()


def _recbole_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--benchmark",
        action="store_true",
        help="ready histories, split as the domain is (X.train.inter, X.valid.inter, "
        "X.test.inter), instead of one log",
    )


def _recbole(arguments: argparse.Namespace) -> None:
    from ..data.domain import Domain
    from ..data.export_recbole import export_recbole

    domain = Domain.load(arguments.source)
    folder = export_recbole(
        domain, arguments.output_dir, name=arguments.name, benchmark=arguments.benchmark
    )
    _done(folder)
    if arguments.benchmark:
        print(f"  split: {domain.split().splitting('test').rule}")
    elif domain.timestamps is None:
        print("  without time stamps: the column position holds the order, taken on trust")
    elif domain.info.tied_pairs:
        print("  equal time stamps: the column position says in which order they stand here")


def _published_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--codes",
        metavar="CODES",
        help="codes for X.index.json: a model folder, or the key of codes in the domain folder; "
        "by default all codes of the domain folder are written, each to a file of its own",
    )
    group.add_argument("--seed", type=int, default=0, help="draws the numbers of the items")


def _published(arguments: argparse.Namespace) -> None:
    from ..data.codes import load_codes
    from ..data.domain import Domain
    from ..data.export_published import MAIN_CODES, export_published

    domain = Domain.load(arguments.source)
    codes = load_codes(domain.path)
    if arguments.codes is not None:
        codes = {MAIN_CODES: _chosen_codes(arguments.codes, domain, codes)}
    folder = export_published(
        domain, arguments.output_dir, name=arguments.name, codes=codes, seed=arguments.seed
    )
    _done(folder)
    print(f"  item numbers are drawn with seed {arguments.seed}; they say nothing of time")


def _chosen_codes(chosen: str, domain: Domain, codes: dict[str, ImportedCodes]) -> ImportedCodes:
    """The codes that `--codes` names: of a model folder, or by their key."""
    from ..columns import CATALOG_FILE
    from ..semantic_ids.catalogue import ItemCatalog
    from ..semantic_ids.published_codes import catalog_codes

    if chosen in codes:
        return codes[chosen]
    if not (Path(chosen) / CATALOG_FILE).exists():
        known = f"; this domain has the codes {', '.join(codes)}" if codes else ""
        raise QBert4RecError(
            f"--codes {chosen}: neither a folder with a {CATALOG_FILE} nor codes of "
            f"{domain.path}{known}"
        )
    return catalog_codes(ItemCatalog.load(chosen), domain.item_ids, domain=domain.name)


def _onnx(arguments: argparse.Namespace) -> None:
    from ..hub.export_onnx import export_onnx
    from .console import prepare

    if arguments.name is not None:
        raise QBert4RecError("--name does not go with --format onnx, whose files have fixed names")
    prepare(arguments.quiet)
    _done(export_onnx(arguments.source, arguments.output_dir))
    print("  README.md says how to rank with it")


def _done(folder: Path) -> None:
    files = sorted(path.name for path in folder.iterdir())
    print(f"{folder}: {', '.join(files)}")


FORMATS: dict[str, Format] = {
    "recbole": Format("RecBole's atomic files", _recbole, _recbole_arguments, ("benchmark",)),
    "published": Format("MQL4GRec / LC-Rec", _published, _published_arguments, ("codes", "seed")),
    "onnx": Format("sequence model for other runtimes (pip install 'qbert4rec_hf[onnx]')", _onnx),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="domain folder; model folder for onnx")
    parser.add_argument(
        "--format",
        required=True,
        choices=FORMATS,
        help="; ".join(f"{name}: {form.help}" for name, form in FORMATS.items()),
    )
    parser.add_argument(
        "--output-dir",
        required=True,
        help="folder to write, new or empty; the projects want it to be called as its files are",
    )
    parser.add_argument("--name", help="the X of the files; the folder's name by default")
    for name, form in FORMATS.items():
        if form.add_arguments is not None:
            form.add_arguments(parser.add_argument_group(f"--format {name}"))


def run(arguments: argparse.Namespace) -> None:
    for name, form in FORMATS.items():
        for option in form.options:
            if name != arguments.format and getattr(arguments, option):
                raise QBert4RecError(
                    f"--{option} goes with --format {name} only; leave it out for "
                    f"{arguments.format}"
                )
    FORMATS[arguments.format].run(arguments)
