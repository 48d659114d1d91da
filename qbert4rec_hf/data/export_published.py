"""Exporter to the form of MQL4GRec and LC-Rec."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..columns import TEXT, TITLE
from ..errors import QBert4RecError
from ..files import atomic_folder
from .codes import ImportedCodes
from .domain import Domain
from .export_folder import check_ids, new_folder

# The one set of codes that these projects read; others carry their key in the file's name.
MAIN_CODES = "index"


def export_published(
    domain: Domain,
    folder: str | os.PathLike,
    *,
    name: str | None = None,
    codes: Mapping[str, ImportedCodes] | None = None,
    seed: int = 0,
) -> Path:
    """Writes a domain in the form of MQL4GRec and LC-Rec.

    `X.inter.json` (user number -> item numbers, oldest first), `X.item2id` and `X.user2id` (id,
    tab, number), `X.item.json` (item number -> title, description), and for each set of codes
    `X.index.json` or `X.index_<key>.json` (item number -> tokens such as `<a_170>`).

    Items are numbered in an order drawn with `seed`: numbers by first appearance, as these
    projects have them, tell how late an item came. They split by leave-one-out.

    Args:
        domain: to write. Its time stamps and images have no place in these files.
        folder: where to write; both projects want it to be called X.
        name: X; the folder's name by default.
        codes: codes of the domain's items by key; "index" becomes `X.index.json`.
        seed: of the item numbers.

    Returns:
        The folder.

    Raises:
        QBert4RecError: an id with a tab or a line break, codes of another number of items, a
            negative seed, or a folder that is not empty.

    Source:
        https://github.com/zhaijianyang/MQL4GRec, https://github.com/RUCAIBox/LC-Rec
    """
    if seed < 0:
        raise QBert4RecError(f"seed must be 0 or more, got {seed}")
    folder, name = new_folder(folder, name)
    users, sequences = domain.sequences()
    check_ids("user", users, "X.user2id")
    check_ids("item", domain.item_ids, "X.item2id")
    codes = dict(codes or {})
    for key, part in codes.items():
        if len(part.codes) != len(domain):
            raise QBert4RecError(
                f"codes {key!r} are those of {len(part.codes)} items, and {domain.name} has "
                f"{len(domain)}"
            )
    # The row of each number, and the number of each row.
    rows = np.random.default_rng(seed).permutation(len(domain))
    numbers = np.empty_like(rows)
    numbers[rows] = np.arange(len(rows))
    with atomic_folder(folder) as temporary:
        _write_ids(temporary / f"{name}.item2id", (domain.item_ids[row] for row in rows))
        _write_ids(temporary / f"{name}.user2id", users)
        _write_object(
            temporary / f"{name}.inter.json",
            (numbers[history].tolist() for history in sequences),
        )
        titles, texts = domain.items[TITLE].tolist(), domain.items[TEXT].tolist()
        _write_object(
            temporary / f"{name}.item.json",
            ({"title": titles[row] or "", "description": " ".join(texts[row])} for row in rows),
        )
        for key, part in codes.items():
            suffix = "" if key == MAIN_CODES else f"_{key}"
            _write_object(
                temporary / f"{name}.index{suffix}.json",
                (
                    [
                        f"<{prefix}_{code}>"
                        for prefix, code in zip(part.prefixes, part.codes[row], strict=True)
                    ]
                    for row in rows
                ),
                indent=4,
            )
    return folder


def _write_ids(path: Path, ids: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, id_ in enumerate(ids):
            file.write(f"{id_}\t{number}\n")


def _write_object(path: Path, values: Iterable[object], *, indent: int | None = None) -> None:
    """Writes an object with the keys "0", "1" and so on, a value at a time."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("{")
        for number, value in enumerate(values):
            text = json.dumps(value, ensure_ascii=False, indent=indent)
            if indent is not None:
                text = text.replace("\n", "\n" + " " * indent)
            start = "\n" + " " * (indent or 0)
            file.write(f'{"," if number else ""}{start}"{number}": {text}')
        file.write("\n}")
