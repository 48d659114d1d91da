"""Importer of RecBole's atomic files, whole logs and ready histories."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ..columns import ITEM_ID, TIMESTAMP, USER_ID
from ..errors import QBert4RecError
from .domain import Domain
from .domain_info import DomainInfo
from .import_folder import find_set
from .imported_domain import ImportedDomain
from .interaction_table import Numbered, gather_interactions
from .recbole_benchmark import HISTORY, read_benchmark
from .recbole_files import FLOAT, INTER, ITEM, PARTS, POSITION, read_header, read_rows
from .recbole_items import read_items
from .tables import Table, table_of_frame, text_column


def import_recbole(
    source: str | os.PathLike, *, name: str | None = None, seed: int = 0, tie_seed: int = 0
) -> ImportedDomain:
    """Imports a data set in RecBole's form.

    Reads `X.inter` (user_id, item_id and, where there is one, timestamp; ratings are not looked
    at) and `X.item` where it is there (item_id, a title, descriptions and the like; further
    columns are kept). Where there is no `X.inter`, the benchmark form `X.train.inter`,
    `X.valid.inter`, `X.test.inter`: either parts of one log, or rows of a history (item_id_list)
    and the item taken next, from which histories are put together again.

    Nothing is left out: for a minimum rating, a k-core or duplicates see `qbert4rec prepare`,
    which reads these files too. The rows of the items table are shuffled with `seed`.

    Args:
        source: the folder, or the path of its `X.inter`.
        name: X; found from `*.inter` when not given.
        seed: seed of the shuffle.
        tie_seed: seed of the hash that orders equal time stamps.

    Raises:
        QBert4RecError: a file is missing or malformed (names file and line), or a negative seed.

    Source:
        https://recbole.io/atomic_files.html; the form with histories as published with UniSRec.
    """
    if seed < 0:
        raise QBert4RecError(f"seed must be 0 or more, got {seed}")
    folder, name = find_recbole(Path(source), name)
    paths = _inter_paths(folder, name)
    info = DomainInfo(
        name=name, source=f"RecBole files {name}", tie_seed=tie_seed, item_shuffle_seed=seed
    )
    read = _from_histories if HISTORY in read_header(paths[0]) else _from_log
    return ImportedDomain(read(folder / f"{name}{ITEM}", paths, info))


def find_recbole(source: Path, name: str | None = None) -> tuple[Path, str]:
    """The folder and the name X of a data set in RecBole's form.

    Raises:
        QBert4RecError: there is none, or there are several and none is named.
    """
    return find_set(
        source, name, suffix=INTER, noun="set", form="data set in RecBole's form", stem=_stem
    )


def _stem(name: str) -> str:
    """X of `X` or `X.train` and the like."""
    base, _, part = name.rpartition(".")
    return base if base and part in PARTS else name


def _inter_paths(folder: Path, name: str) -> list[Path]:
    whole = folder / f"{name}{INTER}"
    if whole.exists():
        return [whole]
    parts = [folder / f"{name}.{part}{INTER}" for part in PARTS]
    found = [path for path in parts if path.exists()]
    if not found:
        raise QBert4RecError(
            f"{whole} does not exist, nor does {parts[0].name}; check name and folder"
        )
    return found


def _from_log(item_path: Path, paths: Sequence[Path], info: DomainInfo) -> Domain:
    columns = read_header(paths[0])
    for path in paths:
        found = read_header(path)
        for column in (USER_ID, ITEM_ID):
            if found.get(column, FLOAT) == FLOAT:
                raise QBert4RecError(
                    f"{path}, line 1: it lacks {column}:token (it has: {', '.join(found)}); name "
                    "the columns as RecBole does"
                )
    order = next((column for column in (TIMESTAMP, POSITION) if column in columns), None)
    for path in paths:
        if order is not None and read_header(path).get(order) != FLOAT:
            raise QBert4RecError(f"{path}, line 1: it lacks {order}:{FLOAT}, which orders the rows")
    ids = Numbered()
    for table in _rows(paths, [ITEM_ID]):
        ids.add(text_column(table, ITEM_ID))
    items = read_items(item_path, ids.result()[0].tolist(), info.item_shuffle_seed)

    def interactions() -> Iterator[Table]:
        wanted = [USER_ID, ITEM_ID] + ([] if order is None else [order])
        names = [USER_ID, ITEM_ID, TIMESTAMP][: len(wanted)]
        for table in _rows(paths, wanted):
            yield replace(table, data=table.data.rename_columns(names))

    checked = gather_interactions(interactions(), items[ITEM_ID].tolist())
    domain = Domain.from_checked(items, checked, info)
    return _on_trust(domain) if order == POSITION else domain


def _from_histories(item_path: Path, paths: Sequence[Path], info: DomainInfo) -> Domain:
    users, histories = read_benchmark(paths)
    flat = list(itertools.chain.from_iterable(histories))
    items = read_items(item_path, list(dict.fromkeys(flat)), info.item_shuffle_seed)
    user_ids = np.repeat(np.array(users, dtype=object), [len(history) for history in histories])
    text = pa.large_string()
    table = pa.table({USER_ID: pa.array(user_ids, text), ITEM_ID: pa.array(flat, text)})
    checked = gather_interactions([table_of_frame(table, str(paths[0]))], items[ITEM_ID].tolist())
    return Domain.from_checked(items, checked, info)


def _rows(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[Table]:
    for path in paths:
        yield from read_rows(path, columns)


def _on_trust(domain: Domain) -> Domain:
    """The domain in the order it has, places in histories no longer taken for time stamps."""
    users, sequences = domain.sequences()
    items: pd.DataFrame = domain.items
    return Domain.from_sequences(
        items,
        users,
        sequences,
        name=domain.info.name,
        source=domain.info.source,
        item_shuffle_seed=domain.info.item_shuffle_seed,
    )
