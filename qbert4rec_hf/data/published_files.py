"""Readers of the single files of a published split; each names file and key in its errors."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers.utils import logging

from ..errors import QBert4RecError
from ..files import read_json
from .codes import ImportedCodes, codebook_size
from .sequences import Sequences

logger = logging.get_logger(__name__)

_TOKEN = re.compile(r"<([A-Za-z]+)_(\d{1,9})>")
# Item numbers, as far as they are sure to fit into 64 bits.
_NUMBER = re.compile(r"[0-9]{1,18}")
# What else `X.item.json` says of an item, in the order in which it reads best.
_TEXT_KEYS = ("description", "features", "feature", "brand", "categories", "category")


@dataclass(frozen=True)
class CodeTokens:
    """One `X.index*.json`: codes by item number.

    Args:
        path: the file.
        numbers: `[items]`, item numbers as the file lists them.
        codes: `[items, levels]`.
        prefixes: `[levels]`, letter of each level.
    """

    path: Path
    numbers: list[int]
    codes: np.ndarray
    prefixes: list[str]

    def align(self, numbers: np.ndarray) -> ImportedCodes:
        """Puts the codes in the order of `numbers` `[items]`.

        Raises:
            QBert4RecError: an item has no codes, or codes belong to no item.
        """
        rows = {number: row for row, number in enumerate(self.numbers)}
        missing = [number for number in numbers.tolist() if number not in rows]
        if missing:
            raise QBert4RecError(
                f"{self.path} has no codes for item {min(missing)} ({len(missing)} such items); "
                "every item needs codes"
            )
        if len(rows) > len(numbers):
            stray = min(set(rows) - set(numbers.tolist()))
            raise QBert4RecError(
                f"{self.path}, key {stray}: there is no such item; codes and item2id file do not "
                "belong together"
            )
        order = np.array([rows[number] for number in numbers.tolist()], dtype=np.int64)
        sizes = [codebook_size(self.codes)] * self.codes.shape[1]
        return ImportedCodes(self.codes[order], sizes, self.prefixes)


def read_histories(path: Path) -> tuple[list[str], Sequences]:
    """Reads `X.inter.json`: user -> item numbers, oldest first.

    Returns:
        User ids, and their histories in item numbers. Users without interactions are left out.
    """
    values = _read_object(path, "user -> list of item numbers")
    empty = 0
    for user, items in values.items():
        if not isinstance(items, list) or not set(map(type, items)) <= {int}:
            raise QBert4RecError(
                f"{path}, key {user!r}: a list of item numbers expected, found {_short(items)}"
            )
        empty += not items
    if empty:
        logger.warning(f"{path}: {empty} users without interactions are left out")
        values = {user: items for user, items in values.items() if items}
    lengths = np.fromiter(map(len, values.values()), np.int64, len(values))
    try:
        flat = np.fromiter(itertools.chain.from_iterable(values.values()), np.int64, lengths.sum())
    except OverflowError:
        raise QBert4RecError(f"{path} holds an item number beyond 64 bits") from None
    return list(values), Sequences.from_lengths(flat, lengths)


def read_ids(path: Path, what: str) -> dict[int, str]:
    """Reads `X.item2id` or `X.user2id`: id, tab, number.

    Args:
        path: the file.
        what: "item" or "user".

    Returns:
        The id by its number, in the file's order.
    """
    try:
        # Not splitlines: an id may hold what only Unicode calls a line break.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise QBert4RecError(f"{path} cannot be read as text ({error})") from None
    ids: dict[int, str] = {}
    known: set[str] = set()
    for number_of_line, line in enumerate(lines, 1):
        if not line.strip():
            continue
        id_, tab, number = line.rpartition("\t")
        if not id_ or not tab or not _NUMBER.fullmatch(number.strip()):
            raise QBert4RecError(
                f"{path}, line {number_of_line}: {what} id, tab and number expected, "
                f"found {_short(line)}"
            )
        if id_ in known or int(number) in ids:
            raise QBert4RecError(
                f"{path}, line {number_of_line}: {what} id {id_!r} or number {int(number)} "
                "stands there already; each has one line"
            )
        ids[int(number)] = id_
        known.add(id_)
    if not ids:
        raise QBert4RecError(f"{path} lists no {what}s")
    return ids


def read_item_texts(path: Path) -> dict[int, tuple[str | None, list[str]]]:
    """Reads `X.item.json`: number -> title, description, brand, categories.

    Returns:
        Title (or None) and list of texts by item number.
    """
    texts = {}
    for key, value in _read_object(path, "item number -> object").items():
        if not isinstance(value, dict):
            raise QBert4RecError(f"{path}, key {key!r}: an object expected, found {_short(value)}")
        title = _strings(path, key, "title", value.get("title"))
        parts = [part for name in _TEXT_KEYS for part in _strings(path, key, name, value.get(name))]
        texts[_item_number(path, key)] = (" ".join(title) or None, parts)
    return texts


def read_index(path: Path) -> CodeTokens:
    """Reads `X.index*.json`: number -> code tokens; a token's level is its position."""
    values = _read_object(path, "item number -> list of code tokens")
    if not values:
        raise QBert4RecError(f"{path} holds no codes")
    prefixes: list[str] | None = None
    codes = []
    for key, tokens in values.items():
        matches = (
            [_TOKEN.fullmatch(token) if isinstance(token, str) else None for token in tokens]
            if isinstance(tokens, list)
            else []
        )
        if not matches or None in matches:
            raise QBert4RecError(
                f"{path}, key {key!r}: a list of tokens such as <a_170> expected, "
                f"found {_short(tokens)}"
            )
        found = [match[1] for match in matches]
        prefixes = prefixes or found
        if found != prefixes:
            raise QBert4RecError(
                f"{path}, key {key!r}: levels {', '.join(found)} where other items have "
                f"{', '.join(prefixes)}"
            )
        codes.append([int(match[2]) for match in matches])
    numbers = [_item_number(path, key) for key in values]
    return CodeTokens(path, numbers, np.array(codes, dtype=np.int64), prefixes)


def _read_object(path: Path, form: str) -> dict:
    values = read_json(path)
    if not isinstance(values, dict):
        raise QBert4RecError(f"{path} must hold an object, {form}")
    return values


def _item_number(path: Path, key: str) -> int:
    if not _NUMBER.fullmatch(key):
        raise QBert4RecError(f"{path}, key {key!r}: an item number expected")
    return int(key)


def _strings(path: Path, key: str, name: str, value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    # Categories come as lists of lists in some files.
    values = [part for entry in values for part in (entry if isinstance(entry, list) else [entry])]
    texts = []
    for part in values:
        if part is not None and not isinstance(part, str):
            raise QBert4RecError(
                f"{path}, key {key!r}: {name} must be text or a list of texts, "
                f"found {_short(value)}"
            )
        text = " ".join((part or "").split())
        if text:
            texts.append(text)
    return texts


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
