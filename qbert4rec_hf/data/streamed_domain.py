"""A domain whose interactions are read as they are needed: for logs larger than memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..columns import DOMAIN_FILE, INTERACTIONS, ITEM_ID, ITEMS, TIMESTAMP, USER_ID
from ..errors import QBert4RecError
from .domain_download import find_domain_folder
from .domain_info import BY_TIMESTAMPS, DomainInfo, read_domain_info
from .interaction_table import gather_interactions
from .sequences import Sequences
from .split import split_by
from .tables import (
    Table,
    check_items,
    find_tables,
    need_columns,
    open_shards,
    read_tables,
    readable,
)
from .time_order import order_by_time

if TYPE_CHECKING:
    from datasets import IterableDataset

ROWS_AT_A_TIME = 50_000
# A history of one item has nothing to learn from.
MIN_LENGTH = 2
# The column that `DataCollatorForMultiMask` reads.
HISTORY = "items"


class StreamedDomain:
    """A domain folder of which only the items are in memory; `load` one.

    Its training histories come as a `datasets.IterableDataset`, for a Trainer with `max_steps`.
    They are those of `Domain.load(folder).split().train`, in the same order, without ever holding
    more than a few thousand of them. That takes a folder in which the rows of a user stand
    together, as every folder of this package has them.

    Example:
        >>> from qbert4rec_hf import StreamedDomain, make_demo_domains
        >>> folder = make_demo_domains("shops", scale=0.05)[-1]
        >>> domain = StreamedDomain.load(folder)
        >>> domain
        StreamedDomain('weekend', 24 items, 40 users, 223 interactions)
        >>> histories = domain.training_histories().shuffle(seed=0, buffer_size=1000)
        >>> sorted(next(iter(histories)))
        ['items', 'user_id']

    Attributes:
        path: the folder; image paths are relative to it.
        items: DataFrame, one row an item, as in `Domain`.
        info: what `domain.json` says; its counts are believed, except that of the users.
    """

    def __init__(self, path: Path, items: pd.DataFrame, info: DomainInfo) -> None:
        self.path = path
        self.items = items
        self.info = info

    @classmethod
    def load(cls, folder: str | os.PathLike, **hub_arguments: Any) -> StreamedDomain:
        """Opens a domain folder: reads its items, and of its interactions who has them.

        Args:
            folder: of the domain, or the id of a dataset repository, whose files are downloaded.
            hub_arguments: as for `Domain.load`.

        Raises:
            QBert4RecError: as `Domain.load`; also a folder in which the rows of a user do not stand
                together, or whose `domain.json` is absent or belongs to other interactions.
        """
        folder = find_domain_folder(folder, **hub_arguments)
        info = read_domain_info(folder)
        _require_order(folder, info)
        return cls(folder, check_items(read_tables(folder, ITEMS)), info)

    @property
    def name(self) -> str:
        """Short name."""
        return self.info.name

    @cached_property
    def item_ids(self) -> list[str]:
        """`[items]`, the ids in the order of the rows."""
        return self.items[ITEM_ID].tolist()

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return (
            f"StreamedDomain({self.name!r}, {len(self)} items, {self.info.num_users} users, "
            f"{self.info.num_interactions} interactions)"
        )

    def training_histories(self, *, rows_at_a_time: int = ROWS_AT_A_TIME) -> IterableDataset:
        """The training part of every history that has two items in it, user after user.

        Shuffle them with `.shuffle(seed=..., buffer_size=...)`: whole histories are shuffled, so
        each stays complete. For a training of several rounds that can be resumed, make the stream
        endless first, with `.repeat(None)`, and say `max_steps`.

        Args:
            rows_at_a_time: interactions that are read together.

        Returns:
            Rows of `user_id` and `items`, rows of the items table, oldest first: what
            `DataCollatorForMultiMask` takes.

        Raises:
            QBert4RecError: while it is read: an item that the items table lacks, or another wrong
                value.
        """
        from datasets import Features, IterableDataset, List, Value

        if rows_at_a_time < 1:
            raise QBert4RecError(f"rows_at_a_time must be 1 or more, got {rows_at_a_time}")
        # Paths and numbers only: what a generator is given is hashed, and copied to each worker.
        return IterableDataset.from_generator(
            _training_histories,
            features=Features({USER_ID: Value("string"), HISTORY: List(Value("int64"))}),
            gen_kwargs={"folder": str(self.path), "rows_at_a_time": rows_at_a_time},
        )


def _training_histories(folder: str, rows_at_a_time: int) -> Iterator[dict[str, Any]]:
    reader = _HistoryReader(Path(folder))
    for user_ids, train in reader.histories(rows_at_a_time):
        for user_id, history in zip(user_ids, train, strict=True):
            if len(history) >= MIN_LENGTH:
                yield {USER_ID: user_id, HISTORY: history.tolist()}


class _HistoryReader:
    """Reads the interactions of a folder some users at a time, as `Domain.load` would."""

    def __init__(self, folder: Path) -> None:
        self.info = read_domain_info(folder)
        self.item_ids = check_items(read_tables(folder, ITEMS))[ITEM_ID].tolist()
        self.rows = pd.Index(self.item_ids, dtype=object)
        self.files = find_tables(folder, INTERACTIONS)

    def histories(self, rows_at_a_time: int) -> Iterator[tuple[np.ndarray, Sequences]]:
        """User ids and the training part of their histories, some users at a time."""
        waiting: pa.Table | None = None
        start = 0
        for table in self._tables(rows_at_a_time):
            table = table if waiting is None else pa.concat_tables([waiting, table])
            # The last user may go on in what comes next.
            users = table[USER_ID]
            last = pc.index(pc.equal(users, users[-1]), True).as_py()
            if last:
                yield self._split(table.slice(0, last), start)
            waiting, start = table.slice(last).combine_chunks(), start + last
        if waiting is not None:
            yield self._split(waiting, start)

    def _tables(self, rows_at_a_time: int) -> Iterator[pa.Table]:
        from datasets import load_dataset

        rows = load_dataset(
            "parquet",
            data_files=[str(path) for path in self.files],
            split="train",
            streaming=True,
            batch_size=rows_at_a_time,
        )
        wanted = [name for name in (USER_ID, ITEM_ID, TIMESTAMP) if name in rows.column_names]
        rows = rows.select_columns(wanted).with_format("arrow")
        for table in rows.iter(batch_size=rows_at_a_time):
            if len(table):
                yield table

    def _split(self, data: pa.Table, start: int) -> tuple[np.ndarray, Sequences]:
        label = str(self.files[0]) if len(self.files) == 1 else f"{self.files[0]} and its shards"
        table = Table(data, [label], np.array([len(data)]), start)
        # Items that these rows lack are left out of all that follows; most rows lack most items.
        local_ids = [i for i in pc.unique(data[ITEM_ID]).to_pylist() if i is not None]
        local_rows = self.rows.get_indexer(pd.Index(local_ids, dtype=object))
        known = [i for i, row in zip(local_ids, local_rows.tolist(), strict=True) if row >= 0]
        checked = gather_interactions([table], known)
        stamped = checked.timestamps is not None
        if stamped != (self.info.time_order == BY_TIMESTAMPS):
            raise QBert4RecError(
                f"{table.where(0)}: the rows from here on have {'' if stamped else 'no '}time "
                f"stamps, which {DOMAIN_FILE} denies; {_WAY_OUT}"
            )
        order = np.argsort(checked.user_index, kind="stable")
        if stamped:
            order = order_by_time(
                checked.user_index,
                checked.item_index,
                checked.timestamps,
                checked.user_ids,
                known,
                seed=self.info.tie_seed,
            )
        items = local_rows[local_rows >= 0][checked.item_index[order]]
        lengths = np.bincount(checked.user_index, minlength=len(checked.user_ids))
        sequences = Sequences.from_lengths(items, lengths)
        timestamps = checked.timestamps[order] if stamped else None
        return checked.user_ids, split_by(self.info, checked.user_ids, sequences, timestamps).train


_WAY_OUT = "write the folder anew with Domain.load(FOLDER).save(OTHER_FOLDER)"


def _require_order(folder: Path, info: DomainInfo) -> None:
    """Raises unless the rows of every user stand together, by counting where the user changes."""
    changes, last = 0, None
    paths = find_tables(folder, INTERACTIONS)
    for path, shard in zip(paths, open_shards(folder, INTERACTIONS), strict=True):
        need_columns(
            Table(shard.schema_arrow.empty_table(), [str(path)], np.array([0])), [USER_ID, ITEM_ID]
        )
        batches = shard.iter_batches(ROWS_AT_A_TIME, columns=[USER_ID])
        while True:
            with readable(path):
                batch = next(batches, None)
            if batch is None:
                break
            users = batch.column(0)
            if len(users):
                changes += pc.sum(pc.not_equal(users[1:], users[:-1])).as_py() or 0
                changes += last is None or users[0].as_py() != last
                last = users[-1].as_py()
    if changes != info.num_users:
        raise QBert4RecError(
            f"{paths[0]}: the user changes {changes:,} times from row to row, where {DOMAIN_FILE} "
            f"counts {info.num_users:,} users, so histories cannot be streamed; {_WAY_OUT}"
        )
