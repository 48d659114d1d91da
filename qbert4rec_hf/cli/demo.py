"""`qbert4rec demo`: everything, on shops made up on the spot."""

from __future__ import annotations

import argparse

HELP = "Make three small shops, train on them and show what comes out; needs no download."
EXAMPLE = """
qbert4rec demo --output-dir demo
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output-dir", required=True, help="folder for the shops and the run")
    parser.add_argument("--seed", type=int, default=0, help="seed of shops and training")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="size of the shops; 1 is about 600 items each"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change one setting, for instance finetune.epochs=3; repeatable",
    )


def run(arguments: argparse.Namespace) -> None:
    from ..hub.run_card import write_card
    from ..runs.demo import RUN_FOLDER, run_demo
    from ..runs.lock import run_lock
    from .console import prepare

    prepare(arguments.quiet)
    with run_lock(arguments.output_dir) as folder:
        print(
            run_demo(
                folder,
                seed=arguments.seed,
                scale=arguments.scale,
                assignments=arguments.set,
            )
        )
        print(f"Card:    {write_card(folder / RUN_FOLDER)}")
