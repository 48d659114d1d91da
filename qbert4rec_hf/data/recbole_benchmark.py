"""RecBole's benchmark form: rows of a history and the item taken next, put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transformers.utils import logging

from ..columns import ITEM_ID, USER_ID
from ..errors import QBert4RecError
from .recbole_files import read_header, read_rows

logger = logging.get_logger(__name__)

HISTORY = "item_id_list"


@dataclass
class _User:
    """Rows of one user.

    Args:
        latest: the longest row of the latest file.
        part: number of that file.
        full: rows whose history is as long as any is, by what they end with.
        uncut: rows whose history is one shorter, so that nothing can have been cut.
    """

    latest: list[str] = field(default_factory=list)
    part: int = -1
    full: dict[tuple[str, ...], list[str]] = field(default_factory=dict)
    uncut: set[tuple[str, ...]] = field(default_factory=set)


def read_benchmark(paths: Sequence[Path]) -> tuple[list[str], list[list[str]]]:
    """Reads the histories of `X.train.inter`, `X.valid.inter` and `X.test.inter`.

    A history is that of a user's last row and the item taken next there. Histories are cut to
    their latest items in such files (to 50 in those of UniSRec); what was cut off is found in the
    user's earlier rows. A user with a single interaction has no row.

    Args:
        paths: the files that exist, in the order of time.

    Returns:
        User ids and their histories in item ids, oldest first.

    Raises:
        QBert4RecError: a column is missing, or a history lacks the item of the file before it.
    """
    for path in paths:
        found = read_header(path)
        missing = [name for name in (USER_ID, HISTORY, ITEM_ID) if name not in found]
        if missing:
            raise QBert4RecError(f"{path}, line 1: it lacks {missing[0]}, which other parts have")
    longest = max((len(row) - 1 for path in paths for _, row in _rows(path)), default=0)
    users: dict[str, _User] = {}
    for part, path in enumerate(paths):
        for line, (name, row) in enumerate(_rows(path), 2):
            user = users.setdefault(name, _User())
            if part > user.part >= 0:
                before = [*user.latest, *_after(user)][-1]
                if before not in row[:-1]:
                    raise QBert4RecError(
                        f"{path}, line {line}: the history of user {name!r} lacks item "
                        f"{before!r}, which came before by {paths[user.part].name}; histories "
                        "cannot be put together from such files"
                    )
            if part > user.part or len(row) > len(user.latest):
                user.latest, user.part = row, part
            if len(row) == longest + 1:
                user.full[tuple(row[1:])] = row
            elif len(row) == longest:
                user.uncut.add(tuple(row))
    histories, cut = [], 0
    for user in users.values():
        history, complete = _whole(user, longest)
        histories.append(history)
        cut += not complete
    if cut:
        logger.warning(
            f"{paths[0].parent}: the histories of {cut} users may have been cut to {longest} "
            "items, and no row has what came before; what is there is kept"
        )
    return list(users), histories


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """User, and the items of a row: history and the one taken next."""
    names = (USER_ID, HISTORY, ITEM_ID)
    for table in read_rows(path, names):
        columns = (table.data.column(name).to_pylist() for name in names)
        for row, (user, history, item) in enumerate(zip(*columns, strict=True)):
            if not user or not item:
                raise QBert4RecError(f"{table.where(row)}: user or item is empty")
            yield user, [*history.split(), item]


def _whole(user: _User, longest: int) -> tuple[list[str], bool]:
    """The whole history of a user, and whether its beginning is known.

    A row may have been cut where its history is as long as any. The row before it ends with what
    it begins with, and has one item more at its own beginning, unless nothing was cut.
    """
    start = user.latest
    if len(start) <= longest:
        return start, True
    before: list[str] = []
    rows = dict(user.full)
    while (earlier := rows.pop(tuple(start[:-1]), None)) is not None:
        before.append(earlier[0])
        start = earlier
    return [*reversed(before), *user.latest, *_after(user)], tuple(start[:-1]) in user.uncut


def _after(user: _User) -> list[str]:
    """What follows the row taken for the latest.

    Of rows of one file that are all as long as any, the latest is the one that no other continues.
    """
    after, end = [], user.latest
    rows = {tuple(row[:-1]): row for row in user.full.values()}
    while (later := rows.pop(tuple(end[1:]), None)) is not None:
        after.append(later[-1])
        end = later
    return after
