"""Entry point of the `qbert4rec` command.

Nothing heavy is imported until a verb works, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from .. import __version__
from ..errors import QBert4RecError
from . import (
    card,
    demo,
    evaluate,
    export,
    features,
    finetune,
    fuse,
    images,
    import_domain,
    prepare,
    pretrain,
    push,
    quantize,
    recommend,
    run,
)

VERBS: dict[str, ModuleType] = {
    "demo": demo,
    "import": import_domain,
    "prepare": prepare,
    "images": images,
    "features": features,
    "fuse": fuse,
    "quantize": quantize,
    "pretrain": pretrain,
    "finetune": finetune,
    "run": run,
    "evaluate": evaluate,
    "recommend": recommend,
    "card": card,
    "export": export,
    "push": push,
}

# Exit statuses: what argparse uses for a wrong command line, and what a shell reports for Ctrl-C.
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
_RESUMES = "the same command goes on where it stopped"


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line.

    A verb's module offers `HELP` (one line), `EXAMPLE` (commands that work as written),
    `add_arguments(parser)`, `run(arguments)` and, where the verb cannot go on after Ctrl-C,
    `WHEN_INTERRUPTED` (what is left then).
    """
    parser = argparse.ArgumentParser(
        prog="qbert4rec",
        description="Multimodal sequential recommendation on quantized semantic IDs.",
        epilog="Start with: qbert4rec demo --output-dir demo",
    )
    parser.add_argument("--version", action="version", version=f"qbert4rec {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, module in VERBS.items():
        verb = verbs.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n{_indent(module.EXAMPLE)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add_argument("--quiet", action="store_true", help="print results and warnings only")
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        The exit status: 0, 2 for a mistake in what the user gave (one line on stderr), or 130
        when interrupted.
    """
    arguments = build_parser().parse_args(argv)
    try:
        _start(arguments.quiet)
        arguments.run(arguments)
    except QBert4RecError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        after = getattr(VERBS[arguments.verb], "WHEN_INTERRUPTED", _RESUMES)
        print(f"\nqbert4rec: interrupted; {after}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone (`| head`); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(f"cannot write {error.filename or 'the output'} ({error.strerror})")
    return 0


def _fail(message: str) -> int:
    print("qbert4rec: " + " ".join(message.split()), file=sys.stderr)
    return EXIT_USER_ERROR


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())


def _start(quiet: bool) -> None:
    """Lets the package's messages through to the terminal."""
    package = logging.getLogger("qbert4rec_hf")
    if not package.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        package.addHandler(handler)
        package.propagate = False
    package.setLevel(logging.WARNING if quiet else logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
