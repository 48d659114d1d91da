"""What all verbs that work in a run folder take."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..runs.pipeline import Run


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the run folder, its domains and its settings."""
    parser.add_argument(
        "--output-dir", required=True, help="the run folder; one sub-folder a stage"
    )
    parser.add_argument(
        "--domain",
        help="domain folder to recommend in, or id of a dataset repository; remembered in the "
        "run's config.yaml",
    )
    parser.add_argument(
        "--pretrain-domain",
        action="append",
        metavar="DOMAIN",
        help="domain to pre-train on, likewise, once for each; the target's own training part when "
        "there is none",
    )
    parser.add_argument(
        "--from",
        dest="from_model",
        metavar="MODEL",
        help="model folder, or id of a repository, to start from instead of pre-training: its "
        "encoders, fusion and quantizer code this domain's items, its sequence model is fine-tuned",
    )
    parser.add_argument("--config", help="a config.yaml to start from")
    parser.add_argument(
        "--preset",
        help="a ready-made set of settings: recipe (what runs without it), quick (a first look, "
        "minutes) or large (a wider and deeper encoder, for a GPU); --set goes before it",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change one setting, for instance fusion.epochs=3; repeatable",
    )
    parser.add_argument("--seed", type=int, help="seed of everything random")
    add_trust_argument(parser)


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the permission that a model's own code needs; it is asked for each time anew."""
    parser.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="let an encoder whose model brings code of its own run it; never remembered",
    )


@contextmanager
def opened_run(arguments: argparse.Namespace) -> Iterator[Run]:
    """Opens the run folder named on the command line and holds it against other processes."""
    from ..runs.lock import run_lock
    from ..runs.pipeline import Run
    from .console import prepare

    prepare(arguments.quiet)
    with run_lock(arguments.output_dir):
        yield Run.open(
            arguments.output_dir,
            domain=arguments.domain,
            pretrain_domains=arguments.pretrain_domain,
            from_model=arguments.from_model,
            config=arguments.config,
            preset=arguments.preset,
            assignments=arguments.set,
            seed=arguments.seed,
            trust_remote_code=arguments.trust_remote_code,
        )
