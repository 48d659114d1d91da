"""A domain: one shop's catalogue and the histories of its users."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ..columns import (
    CARD_FILE,
    CODES_FOLDER,
    DOMAIN_FILE,
    IMAGES,
    INTERACTIONS,
    ITEM_ID,
    ITEMS,
    TIMESTAMP,
    USER_ID,
)
from ..errors import QBert4RecError
from ..files import write_json
from .domain_card import domain_card
from .domain_files import domain_folder, write_interactions, write_items
from .domain_info import BY_TIMESTAMPS, ON_TRUST, DomainInfo, read_domain_info
from .sequences import Sequences
from .split import MIN_EVALUATED_LENGTH
from .tables import (
    InteractionTable,
    check_interactions,
    check_items,
    is_url,
    read_tables,
    table_of_frame,
)
from .time_order import count_tied_last, order_by_time


class Domain:
    """One shop's catalogue and the histories of its users.

    Build one with `load`, `from_tables` or `from_sequences`.

    Attributes:
        name: short name.
        path: the folder it was loaded from or saved to; image paths are relative to it. None for
            a domain in memory.
        items: DataFrame, one row an item: item_id, title (str or None), text (list of str), images
            (list of paths or URLs), then further columns of the shop.
        info: counts and origin.
        user_ids: `[users]`, object array of str.
        timestamps: `[interactions]` in the order of `sequences()`, int64, or None.
    """

    def __init__(
        self,
        items: pd.DataFrame,
        user_ids: np.ndarray,
        sequences: Sequences,
        timestamps: np.ndarray | None,
        info: DomainInfo,
        path: Path | None = None,
    ) -> None:
        self.items = items
        self.user_ids = user_ids
        self.timestamps = timestamps
        self.info = info
        self.path = path
        self._sequences = sequences

    @classmethod
    def from_tables(
        cls,
        items: pd.DataFrame,
        interactions: pd.DataFrame,
        *,
        name: str,
        source: str = "",
        tie_seed: int = 0,
        path: str | os.PathLike | None = None,
    ) -> Domain:
        """Builds a domain from two DataFrames.

        Args:
            items: columns item_id, title, text, images, and any others.
            interactions: columns user_id, item_id and, where known, timestamp (integers or dates).
                Without time stamps the order of the rows is taken on trust.
            name: short name.
            source: where the data came from, in words.
            tie_seed: seed of the hash that orders equal time stamps.
            path: folder that image paths are relative to.

        Raises:
            QBert4RecError: names table, row and column of what is wrong.
        """
        items = check_items(table_of_frame(items, "items table"))
        table = table_of_frame(interactions, "interactions table")
        checked = check_interactions(table, items[ITEM_ID].tolist())
        info = DomainInfo(name=name, source=source, tie_seed=tie_seed)
        return _ordered(items, checked, info, None if path is None else Path(path))

    @classmethod
    def from_sequences(
        cls,
        items: pd.DataFrame,
        user_ids: np.ndarray | list[str],
        sequences: Sequences,
        *,
        name: str,
        source: str = "",
        item_shuffle_seed: int | None = None,
    ) -> Domain:
        """Builds a domain from histories that have no time stamps; their order is taken on trust.

        Args:
            items: columns item_id, title, text, images, and any others.
            user_ids: `[users]`.
            sequences: one row of item rows a user, oldest first.
            name: short name.
            source: where the data came from, in words.
            item_shuffle_seed: seed with which the rows of the items were shuffled.
        """
        items = check_items(table_of_frame(items, "items table"))
        user_ids = np.array([str(user) for user in user_ids], dtype=object)
        if len(user_ids) != len(sequences):
            raise QBert4RecError(f"{len(sequences)} sequences came with {len(user_ids)} user ids")
        repeated = pd.Index(user_ids).duplicated()
        if repeated.any():
            raise QBert4RecError(
                f"user {user_ids[repeated.argmax()]!r} has two sequences; join them into one"
            )
        if len(sequences.items) and not (
            sequences.items.min() >= 0 and sequences.items.max() < len(items)
        ):
            raise QBert4RecError(
                f"item row {sequences.items.max()} is outside the items table of {len(items)} rows"
            )
        info = DomainInfo(name=name, source=source, item_shuffle_seed=item_shuffle_seed)
        info = _counted(info, items, sequences, None)
        return cls(items, user_ids, sequences, None, info)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Domain:
        """Reads and checks a domain folder.

        Args:
            folder: holds `items.parquet` and `interactions.parquet`, each also as shards
                (`items/*.parquet` or `items-*.parquet`); `domain.json` may be absent.

        Raises:
            QBert4RecError: names file, row and column of what is wrong.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise QBert4RecError(f"{folder} is not a folder; give the path of a domain folder")
        info = read_domain_info(folder)
        items = check_items(read_tables(folder, ITEMS))
        checked = check_interactions(read_tables(folder, INTERACTIONS), items[ITEM_ID].tolist())
        return _ordered(items, checked, info, folder)

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes the domain folder, its image files and its dataset card.

        The folder appears complete or not at all. A domain folder that stands there is replaced.

        Args:
            folder: where to write. Image files and codes are copied when the domain has a folder
                already.

        Returns:
            The folder; `path` is set to it.

        Raises:
            QBert4RecError: the folder holds something else, or cannot be written.
        """
        with domain_folder(folder) as temporary:
            self.write_into(temporary)
            if self.path is not None and (self.path / CODES_FOLDER).is_dir():
                shutil.copytree(self.path / CODES_FOLDER, temporary / CODES_FOLDER)
        self.path = Path(folder)
        return self.path

    def write_into(self, folder: Path) -> None:
        """Writes the files of a domain folder into an existing folder (see `save`)."""
        write_items(self.items, folder / f"{ITEMS}.parquet")
        write_interactions(self.interactions(), folder / f"{INTERACTIONS}.parquet")
        self._copy_images(folder)
        write_json(folder / DOMAIN_FILE, asdict(self.info))
        (folder / CARD_FILE).write_text(domain_card(self.info), encoding="utf-8")

    @property
    def name(self) -> str:
        return self.info.name

    @cached_property
    def item_ids(self) -> list[str]:
        """`[items]`, the ids in the order of the rows."""
        return self.items[ITEM_ID].tolist()

    @cached_property
    def item_row(self) -> dict[str, int]:
        """Row of each item id."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return (
            f"Domain({self.name!r}, {self.info.num_items} items, {self.info.num_users} users, "
            f"{self.info.num_interactions} interactions)"
        )

    def sequences(self) -> tuple[np.ndarray, Sequences]:
        """The histories in time order.

        Returns:
            `user_ids` `[users]` and one row of item rows a user.
        """
        return self.user_ids, self._sequences

    def interactions(self) -> pd.DataFrame:
        """The histories as a table: user_id, item_id, timestamp (null without time stamps)."""
        sequences = self._sequences
        item_ids = np.array(self.item_ids, dtype=object)
        stamps = (
            pd.array([pd.NA] * len(sequences.items), dtype="Int64")
            if self.timestamps is None
            else pd.array(self.timestamps, dtype="Int64")
        )
        return pd.DataFrame(
            {
                USER_ID: self.user_ids[sequences.row_index],
                ITEM_ID: item_ids[sequences.items],
                TIMESTAMP: stamps,
            }
        )

    def image_path(self, image: str) -> Path | None:
        """The file of an entry of the images column; None for a URL or a domain in memory."""
        return None if self.path is None or is_url(image) else self.path / image

    def _copy_images(self, folder: Path) -> None:
        for images in self.items[IMAGES]:
            for image in images:
                source = self.image_path(image)
                if source is None or not source.is_file():
                    continue
                target = folder / image
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


def _ordered(
    items: pd.DataFrame, checked: InteractionTable, info: DomainInfo, path: Path | None
) -> Domain:
    """Puts checked interactions in time order."""
    if checked.timestamps is None:
        # A stable sort: within a user the rows stay as the source had them.
        order = np.argsort(checked.user_index, kind="stable")
    else:
        order = order_by_time(
            checked.user_index,
            checked.item_index,
            checked.timestamps,
            checked.user_ids,
            items[ITEM_ID],
            seed=info.tie_seed,
        )
    lengths = np.bincount(checked.user_index, minlength=len(checked.user_ids))
    sequences = Sequences.from_lengths(checked.item_index[order], lengths)
    timestamps = None if checked.timestamps is None else checked.timestamps[order]
    info = _counted(info, items, sequences, timestamps)
    return Domain(items, checked.user_ids, sequences, timestamps, info, path)


def _counted(
    info: DomainInfo, items: pd.DataFrame, sequences: Sequences, timestamps: np.ndarray | None
) -> DomainInfo:
    """Fills in what follows from the data, whatever `domain.json` said."""
    pairs = sequences.row_index * len(items) + sequences.items
    return replace(
        info,
        time_order=ON_TRUST if timestamps is None else BY_TIMESTAMPS,
        tied_users=None
        if timestamps is None
        else count_tied_last(timestamps, sequences.offsets, MIN_EVALUATED_LENGTH),
        repeats=len(np.unique(pairs)) < len(pairs),
        num_items=len(items),
        num_users=len(sequences),
        num_interactions=len(sequences.items),
    )
