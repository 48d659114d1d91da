"""The Space: search a shop's catalogue, pick a history, see what comes next and why.

    python examples/space/app.py demo/run/model

On Hugging Face the model comes from the variable QBERT4REC_MODEL of the Space's settings.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# Nobody's visit is reported to anyone.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

NO_MODEL = (
    "This page shows a Q-BERT4Rec model, and none is named yet. Set the variable QBERT4REC_MODEL "
    "in the settings of the Space to a repository of the Hub, or start it as: "
    "python app.py MODEL_FOLDER"
)


def parser() -> argparse.ArgumentParser:
    """The arguments; each has an environment variable, which is how a Space is set up."""
    env = os.environ.get
    made = argparse.ArgumentParser(
        description="Shows a Q-BERT4Rec model: search, history, top 10 and why, new items.",
        epilog="example: python examples/space/app.py demo/run/model",
    )
    made.add_argument(
        "model",
        nargs="?",
        default=env("QBERT4REC_MODEL"),
        metavar="MODEL",
        help="model folder, or id of a repository (QBERT4REC_MODEL)",
    )
    made.add_argument(
        "--domain",
        default=env("QBERT4REC_DOMAIN"),
        metavar="D",
        help="domain folder or dataset repository with the items' pictures (QBERT4REC_DOMAIN); by "
        "default the one that the model's run folder names",
    )
    made.add_argument(
        "--catalogue",
        default=env("QBERT4REC_CATALOGUE"),
        metavar="NAME",
        help="domain to show, where the model knows several (QBERT4REC_CATALOGUE)",
    )
    made.add_argument("--host", default=env("GRADIO_SERVER_NAME", "127.0.0.1"))
    made.add_argument(
        "--port", type=int, default=None, help="by default the first free one from 7860 on"
    )
    made.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="let an encoder that brings code of its own run it, for new items",
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Starts the page; returns an exit status."""
    options = parser().parse_args(arguments)
    for package in ("qbert4rec_hf", "gradio"):
        if importlib.util.find_spec(package) is None:
            folder = Path(__file__).parent
            return _error(f"{package} is missing: pip install -r {folder}/requirements.txt")

    from storefront.shop import open_shop

    from qbert4rec_hf.errors import QBert4RecError

    try:
        if not options.model:
            raise QBert4RecError(NO_MODEL)
        shop = open_shop(
            options.model,
            domain=options.domain,
            catalogue=options.catalogue,
            trust_remote_code=options.trust_remote_code,
        )
    except QBert4RecError as error:
        # On the Hub nobody reads a log: there, what is missing is said on the page.
        if "SPACE_ID" not in os.environ:
            return _error(str(error))
        from storefront.serve import serve_notice

        serve_notice(str(error), options.host, options.port)
        return 0

    from storefront.serve import serve

    serve(shop, options.host, options.port)
    return 0


def _error(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
