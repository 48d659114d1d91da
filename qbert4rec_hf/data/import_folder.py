"""Where an importer reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import QBert4RecError


def find_set(
    source: Path,
    name: str | None,
    *,
    suffix: str,
    noun: str,
    form: str,
    stem: Callable[[str], str] = lambda name: name,
) -> tuple[Path, str]:
    """The folder and the name X of a data set whose interactions are in a file `X<suffix>`.

    Args:
        source: the folder, or the path of that file.
        name: X; found from the file names when not given.
        suffix: of the file.
        noun: what messages call such a set, in a word.
        form: and in full.
        stem: X of a file name without the suffix, where several files make up a set.

    Raises:
        QBert4RecError: there is none, or there are several and none is named.
    """
    if source.is_file() and source.name.endswith(suffix):
        return source.parent, name or stem(source.name.removesuffix(suffix))
    if not source.is_dir():
        raise QBert4RecError(f"{source} is not a folder; give the folder that holds X{suffix}")
    if name is None:
        files = source.glob(f"*{suffix}")
        names = sorted({stem(path.name.removesuffix(suffix)) for path in files})
        if not names:
            raise QBert4RecError(f"{source} has no *{suffix}; it is no {form}")
        if len(names) > 1:
            raise QBert4RecError(f"{source} holds several {noun}s ({', '.join(names)}); name one")
        name = names[0]
    return source, name
