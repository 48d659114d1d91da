"""Where a model was loaded from: the way to the other files of its folder or repository."""

from __future__ import annotations

import os
from typing import Any

from transformers.utils import cached_file

# What `from_pretrained` is told about the place, and what finding a further file there needs too.
_ARGUMENTS = ("cache_dir", "local_files_only", "proxies", "revision", "subfolder", "token")


class QBert4RecOrigin:
    """A folder or repository of the Hub, with the arguments that it was opened with.

    A token among them stays in this process: neither a pickle nor a copy of the model has it, and
    it is in no text.

    Args:
        place: folder, or id of a repository.
        arguments: those of `from_pretrained`; what is not about the place is left out.
    """

    def __init__(self, place: str | os.PathLike, **arguments: Any):
        self.place = str(place)
        # `token=False` asks for no token at all, so only what is not given is left out.
        self._arguments = {
            name: arguments[name] for name in _ARGUMENTS if arguments.get(name) is not None
        }

    def find(self, name: str) -> str | None:
        """The local path of a file, downloaded where that is needed.

        Args:
            name: as in `"catalog.parquet"` or `"item_graph/item_graph.json"`.

        Returns:
            The path, or None where folder or repository hold no such file.

        Raises:
            OSError: the repository cannot be reached, or not with this login.
        """
        return cached_file(
            self.place, name, _raise_exceptions_for_missing_entries=False, **self._arguments
        )

    def __getstate__(self) -> dict[str, Any]:
        arguments = {name: value for name, value in self._arguments.items() if name != "token"}
        return {"place": self.place, "_arguments": arguments}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r})"
