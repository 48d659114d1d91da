"""Says so when a library is too old, before its lack of something does."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from .errors import QBert4RecError

# As in setup.cfg; of the libraries that the import itself needs.
OLDEST = {"torch": "2.6", "transformers": "5.20"}


class OutdatedLibraryError(QBert4RecError, ImportError):
    """A library is missing or older than this package needs."""


def check_versions() -> None:
    """Compares what is installed with what is needed; reads metadata and imports neither.

    Raises:
        OutdatedLibraryError: names library, version and the command that mends it.
    """
    for name, oldest in OLDEST.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = None
        if found is None or _numbers(found) < _numbers(oldest):
            state = "is not installed" if found is None else f"{found} is too old"
            raise OutdatedLibraryError(
                f"qbert4rec_hf needs {name} {oldest} or newer, but {name} {state}; run "
                f"pip install --upgrade '{name}>={oldest}'"
            )


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 14, 1) for "2.14.1+cpu", (5, 24) for "5.24.dev0"."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
