"""Exporter to RecBole's atomic files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..columns import ITEM_ID, TIMESTAMP, USER_ID
from ..errors import QBert4RecError
from ..files import atomic_folder, write_text
from .domain import Domain
from .domain_info import LEAVE_ONE_OUT
from .export_folder import check_ids, new_folder
from .recbole_benchmark import HISTORY
from .recbole_files import FLOAT, INTER, ITEM, PARTS, POSITION, TOKEN, TOKEN_SEQ, write_rows
from .recbole_items import items_table
from .sequences import Sequences
from .split import TEST, VALIDATION, Split

ROWS = 200_000
# RecBole's own MAX_ITEM_LIST_LENGTH: a longer history would not be read.
MAX_HISTORY = 50

_ATOMIC = f"""\
# Histories as they are split here: the last item test, the last but one validation.
# "{POSITION}" is an item's place in its user's history: equal time stamps have an order in it.
TIME_FIELD: {POSITION}
load_col:
  inter: [{USER_ID}, {ITEM_ID}, {POSITION}]
eval_args:
  split: {{LS: valid_and_test}}
  order: TO
  group_by: user
  mode: full
"""
_BENCHMARK = f"""\
# Ready histories, split as the domain asks for it.
load_col:
  inter: [{USER_ID}, {HISTORY}, {ITEM_ID}]
alias_of_item_id: [{HISTORY}]
benchmark_filename: [{", ".join(PARTS)}]
MAX_ITEM_LIST_LENGTH: {MAX_HISTORY}
eval_args:
  order: TO
  group_by: user
  mode: full
"""
_COMMON = f"""\
# run_recbole(dataset="NAME", config_file_list=["NAME.yaml"], ...) with data_path the folder above.
USER_ID_FIELD: {USER_ID}
ITEM_ID_FIELD: {ITEM_ID}
metrics: [Hit, NDCG]
topk: [1, 5, 10]
valid_metric: NDCG@10
"""


def export_recbole(
    domain: Domain,
    folder: str | os.PathLike,
    *,
    name: str | None = None,
    benchmark: bool = False,
) -> Path:
    """Writes a domain in RecBole's form, for its models to be measured on the same data.

    `X.inter` holds user_id, item_id, timestamp (where there are time stamps) and position, the
    place in the user's history; `X.item` item_id, title, text and further columns of text and
    numbers; `X.yaml` the settings that split the histories as this package does. Images have no
    place in these files.

    Args:
        domain: to write; what is written is split by leave-one-out, or as ready histories.
        folder: where to write; RecBole wants it to be called X.
        name: X; the folder's name by default.
        benchmark: write ready histories and the item taken next instead of one log
            (`X.train.inter`, `X.valid.inter`, `X.test.inter`), split as the domain asks for it.
            Needed for a temporal split, which RecBole cannot make.

    Returns:
        The folder.

    Raises:
        QBert4RecError: an id that these files cannot hold, a temporal split without `benchmark`,
            or a folder that is not empty.
    """
    folder, name = new_folder(folder, name)
    split = domain.split()
    if not benchmark and not _is_plain(split):
        raise QBert4RecError(
            f"{domain.name} is split in a way that RecBole cannot repeat from one log (a temporal "
            "split, or users left out for their ties); write ready histories with --benchmark"
        )
    check_ids("user", domain.user_ids, "RecBole's files")
    way_out = {"way_out": "rename it, or leave out --benchmark"} if benchmark else {}
    check_ids("item", domain.item_ids, "RecBole's files", spaces=not benchmark, **way_out)
    with atomic_folder(folder) as temporary:
        if benchmark:
            columns = {USER_ID: TOKEN, HISTORY: TOKEN_SEQ, ITEM_ID: TOKEN}
            for part, rows in zip(PARTS, _parts(split), strict=True):
                write_rows(temporary / f"{name}.{part}{INTER}", columns, _ready(domain, *rows))
        else:
            columns = {USER_ID: TOKEN, ITEM_ID: TOKEN, TIMESTAMP: FLOAT, POSITION: FLOAT}
            if domain.timestamps is None:
                del columns[TIMESTAMP]
            write_rows(temporary / f"{name}{INTER}", columns, _log(domain))
        kinds, table = items_table(domain.items)
        write_rows(temporary / f"{name}{ITEM}", kinds, [table])
        settings = (_BENCHMARK if benchmark else _ATOMIC) + _COMMON.replace("NAME", name)
        write_text(temporary / f"{name}.yaml", settings)
    return folder


def _is_plain(split: Split) -> bool:
    return split.kind == LEAVE_ONE_OUT and not split.held_out[TEST].num_dropped


def _log(domain: Domain) -> Iterator[pa.Table]:
    _, sequences = domain.sequences()
    users = pa.array(domain.user_ids, pa.large_string())
    items = pa.array(domain.item_ids, pa.large_string())
    for start in range(0, len(sequences.items), ROWS):
        rows = np.arange(start, min(start + ROWS, len(sequences.items)))
        of_user = np.searchsorted(sequences.offsets, rows, side="right") - 1
        columns = {
            USER_ID: users.take(pa.array(of_user)),
            ITEM_ID: items.take(pa.array(sequences.items[rows])),
            POSITION: pa.array(rows - sequences.offsets[of_user]),
        }
        if domain.timestamps is not None:
            columns[TIMESTAMP] = pa.array(domain.timestamps[rows])
        yield pa.table(columns)


def _parts(split: Split) -> Iterator[tuple[np.ndarray, np.ndarray, Sequences]]:
    """User row and place of every item to predict: of training, validation and test.

    Yields:
        `users` `[rows]`, `places` `[rows]` in that user's history, and the histories.
    """
    train = split.train
    # Every item of a training history but the first is once the one to predict.
    rows = np.setdiff1d(np.arange(len(train.items)), train.offsets[:-1][train.lengths > 0])
    users = np.searchsorted(train.offsets, rows, side="right") - 1
    yield users, rows - train.offsets[users], train
    for part in (VALIDATION, TEST):
        held_out = split.held_out[part]
        yield held_out.users, held_out.places, split.sequences


def _ready(
    domain: Domain, users: np.ndarray, places: np.ndarray, sequences: Sequences
) -> Iterator[pa.Table]:
    """Rows of a history, cut to its latest items, and the item taken next."""
    user_ids = pa.array(domain.user_ids, pa.large_string())
    item_ids = pa.array(domain.item_ids, pa.large_string())
    targets = sequences.items[sequences.offsets[users] + places]
    for start in range(0, len(users), ROWS // 10):
        rows = slice(start, start + ROWS // 10)
        histories = sequences.take(users[rows]).first(places[rows]).last(MAX_HISTORY)
        lists = pa.LargeListArray.from_arrays(
            pa.array(histories.offsets), item_ids.take(pa.array(histories.items))
        )
        yield pa.table(
            {
                USER_ID: user_ids.take(pa.array(users[rows])),
                HISTORY: pc.binary_join(lists, pa.scalar(" ", pa.large_string())),
                ITEM_ID: item_ids.take(pa.array(targets[rows])),
            }
        )
