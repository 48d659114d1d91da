"""Importer of published splits in the form of MQL4GRec and LC-Rec."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import numpy as np
import pandas as pd
from transformers.utils import logging

from ..columns import IMAGES, ITEM_ID, TEXT, TITLE
from ..errors import QBert4RecError
from .domain import Domain
from .import_folder import find_set
from .imported_domain import ImportedDomain
from .published_files import (
    read_histories,
    read_ids,
    read_index,
    read_item_texts,
)
from .sequences import Sequences

logger = logging.get_logger(__name__)


def import_published(
    source_folder: str | os.PathLike, *, name: str | None = None, seed: int = 0
) -> ImportedDomain:
    r"""Imports a published split.

    Reads `X.inter.json` (user -> item numbers, oldest first), `X.item2id` (item id, tab, number),
    and where present `X.user2id` (user id, tab, number), `X.item.json` (number -> title,
    description, brand, categories) and `X.index*.json` (number -> code tokens such as `<a_170>`).
    Where `X.item2id` or `X.user2id` is absent the numbers serve as ids.

    Published files number items by first appearance, so a number tells how late an item came; the
    rows of the items table are shuffled with `seed`. The histories have no time stamps: their
    order is taken on trust and marked so.

    Args:
        source_folder: the folder, or the path of its `X.inter.json`.
        name: X; found from `*.inter.json` when not given.
        seed: seed of the shuffle.

    Raises:
        QBert4RecError: a file is missing or malformed (names file and key), or a negative seed.

    Source:
        https://github.com/zhaijianyang/MQL4GRec, https://github.com/RUCAIBox/LC-Rec

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> from qbert4rec_hf import import_published
        >>> Path("Teashop").mkdir()
        >>> histories = {"0": [0, 1, 2], "1": [1, 2]}
        >>> _ = Path("Teashop/Teashop.inter.json").write_text(json.dumps(histories))
        >>> _ = Path("Teashop/Teashop.item2id").write_text("tea\t0\npot\t1\nmug\t2\n")
        >>> imported = import_published("Teashop")
        >>> imported.domain
        Domain('Teashop', 3 items, 2 users, 5 interactions)
        >>> imported.domain.interactions()["item_id"].tolist()
        ['tea', 'pot', 'mug', 'pot', 'mug']
    """
    if seed < 0:
        raise QBert4RecError(f"seed must be 0 or more, got {seed}")
    folder, name = find_set(
        Path(source_folder), name, suffix=".inter.json", noun="split", form="published split"
    )
    users, histories = read_histories(folder / f"{name}.inter.json")
    users = _user_ids(users, folder / f"{name}.user2id")
    index_paths = sorted(folder.glob(f"{glob.escape(name)}.index*.json"))
    tokens = {}
    for path in index_paths:
        key = _code_key(path, name)
        if key in tokens:
            raise QBert4RecError(
                f"{path} and {tokens[key].path.name} would both be the codes {key!r}; rename one"
            )
        tokens[key] = read_index(path)
    texts_path = folder / f"{name}.item.json"
    texts = read_item_texts(texts_path) if texts_path.exists() else {}

    ids_path = folder / f"{name}.item2id"
    if ids_path.exists():
        ids_of_numbers = read_ids(ids_path, "item")
    else:
        logger.warning(f"{ids_path} does not exist; item numbers serve as item ids")
        numbers = set(np.unique(histories.items).tolist()).union(
            texts, *(t.numbers for t in tokens.values())
        )
        ids_of_numbers = {number: str(number) for number in sorted(numbers)}

    stray = texts.keys() - ids_of_numbers.keys()
    if stray:
        logger.warning(f"{texts_path}: {len(stray)} keys belong to no item, such as {min(stray)}")

    numbers = np.fromiter(ids_of_numbers, dtype=np.int64, count=len(ids_of_numbers))
    numbers = np.random.default_rng(seed).permutation(np.sort(numbers))
    domain = Domain.from_sequences(
        _items_table(numbers, ids_of_numbers, texts),
        users,
        _to_rows(histories, numbers, users, folder / f"{name}.inter.json"),
        name=name,
        source=f"published split {name}",
        item_shuffle_seed=seed,
    )
    codes = {key: part.align(numbers) for key, part in tokens.items()}
    for key, part in codes.items():
        collisions = int(part.collides.sum())
        if collisions:
            logger.warning(
                f"{name}: {collisions} of {len(numbers)} items share their {key} codes with "
                "another item; they keep them and are flagged"
            )
    return ImportedDomain(domain, codes)


def _user_ids(keys: list[str], path: Path) -> list[str]:
    """The ids behind the keys of the histories, where a file tells them."""
    if not path.exists():
        return keys
    ids = {str(number): user for number, user in read_ids(path, "user").items()}
    unknown = next((key for key in keys if key not in ids), None)
    if unknown is not None:
        raise QBert4RecError(
            f"{path} has no user {unknown!r}, whose history is there; the two files do not belong "
            "together"
        )
    return [ids[key] for key in keys]


def _code_key(path: Path, name: str) -> str:
    key = path.name.removeprefix(f"{name}.index").removesuffix(".json")
    return key.strip("_-.") or "index"


def _items_table(
    numbers: np.ndarray, ids_of_numbers: dict[int, str], texts: dict[int, tuple]
) -> pd.DataFrame:
    found = [texts.get(number, (None, [])) for number in numbers.tolist()]
    return pd.DataFrame(
        {
            ITEM_ID: pd.Series([ids_of_numbers[n] for n in numbers.tolist()], dtype=object),
            TITLE: pd.Series([title for title, _ in found], dtype=object),
            TEXT: pd.Series([text for _, text in found], dtype=object),
            IMAGES: pd.Series([[] for _ in found], dtype=object),
        }
    )


def _to_rows(histories: Sequences, numbers: np.ndarray, users: list[str], path: Path) -> Sequences:
    """Turns item numbers into rows of the items table."""
    sorter = np.argsort(numbers)
    place = np.searchsorted(numbers, histories.items, sorter=sorter)
    rows = sorter[np.minimum(place, len(numbers) - 1)]
    unknown = np.flatnonzero(numbers[rows] != histories.items)
    if len(unknown):
        user = users[int(histories.row_index[unknown[0]])]
        raise QBert4RecError(
            f"{path}, user {user!r}: item {histories.items[unknown[0]]} has no item id; "
            "the histories and the item2id file do not belong together"
        )
    return Sequences(rows, histories.offsets)
