"""A domain: one shop's catalogue and the histories of its users."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..columns import (
    CARD_FILE,
    CODES_FOLDER,
    DOMAIN_FILE,
    IMAGES,
    INTERACTIONS,
    ITEM_ID,
    ITEMS,
    PREPARATION_FILE,
    TIMESTAMP,
    USER_ID,
)
from ..errors import QBert4RecError
from ..files import read_json, write_json
from .domain_card import domain_card
from .domain_counts import counted
from .domain_download import find_domain_folder
from .domain_files import (
    domain_folder,
    downloaded_files,
    require_inside,
    write_interactions,
    write_items,
)
from .domain_html import domain_html
from .domain_info import KEEP_TIES, LEAVE_ONE_OUT, DomainInfo, read_domain_info
from .interaction_table import InteractionTable, gather_interactions, read_interactions
from .sequences import Sequences
from .split import Split, split_by
from .tables import check_items, is_url, read_tables, table_of_frame
from .time_order import order_by_time


class Domain:
    """One shop's catalogue and the histories of its users.

    Build one with `load`, `from_tables` or `from_sequences`.

    Example:
        >>> import pandas as pd
        >>> from qbert4rec_hf import Domain
        >>> items = pd.DataFrame({"item_id": ["tea", "pot", "mug"], "title": ["Tea", "Pot", "Mug"]})
        >>> items["text"] = [["green", "loose"], ["stoneware"], []]
        >>> items["images"] = [[], [], []]
        >>> log = pd.DataFrame({"user_id": ["ann"] * 3, "item_id": ["mug", "tea", "pot"]})
        >>> domain = Domain.from_tables(items, log.assign(timestamp=[30, 10, 20]), name="teashop")
        >>> domain
        Domain('teashop', 3 items, 1 users, 3 interactions)
        >>> domain.interactions()["item_id"].tolist()  # in the order of time
        ['tea', 'pot', 'mug']
        >>> Domain.load(domain.save("teashop")).split().targets("test").tolist()
        [2]

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
        items: pd.DataFrame | pa.Table,
        interactions: pd.DataFrame | pa.Table,
        *,
        name: str,
        source: str = "",
        tie_seed: int = 0,
        time_unit: str | None = None,
        item_shuffle_seed: int | None = None,
        path: str | os.PathLike | None = None,
    ) -> Domain:
        """Builds a domain from two DataFrames or Arrow tables.

        Args:
            items: columns item_id, title, text, images, and any others.
            interactions: columns user_id, item_id and, where known, timestamp (integers or dates).
                Without time stamps the order of the rows is taken on trust.
            name: short name.
            source: where the data came from, in words.
            tie_seed: seed of the hash that orders equal time stamps.
            time_unit: unit of integer time stamps ("s", "ms", "us", "ns"), where known.
            item_shuffle_seed: seed with which the rows of the items were shuffled.
            path: folder that image paths are relative to.

        Raises:
            QBert4RecError: names table, row and column of what is wrong.
        """
        items = check_items(table_of_frame(items, "items table"))
        table = table_of_frame(interactions, "interactions table")
        checked = gather_interactions([table], items[ITEM_ID].tolist())
        info = DomainInfo(
            name=name,
            source=source,
            tie_seed=tie_seed,
            time_unit=time_unit,
            item_shuffle_seed=item_shuffle_seed,
        )
        return cls.from_checked(items, checked, info, None if path is None else Path(path))

    @classmethod
    def from_checked(
        cls,
        items: pd.DataFrame,
        checked: InteractionTable,
        info: DomainInfo,
        path: Path | None = None,
    ) -> Domain:
        """Puts checked tables together, the interactions in time order.

        Args:
            items: as `check_items` gives them.
            checked: interactions with these items.
            info: name, origin and settings; what follows from the data is counted anew.
            path: folder that image paths are relative to.

        Raises:
            QBert4RecError: `info` asks for a split that the data cannot have.
        """
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
        info = replace(info, time_unit=checked.time_unit or info.time_unit)
        info = counted(info, items[ITEM_ID].tolist(), checked.user_ids, sequences, timestamps)
        return cls(items, checked.user_ids, sequences, timestamps, info, path)

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
        info = counted(info, items[ITEM_ID].tolist(), user_ids, sequences, None)
        return cls(items, user_ids, sequences, None, info)

    @classmethod
    def load(cls, folder: str | os.PathLike, **hub_arguments: Any) -> Domain:
        """Reads and checks a domain folder; memory holds some integers an interaction, no texts.

        Args:
            folder: holds `items.parquet` and `interactions.parquet`, each also as shards
                (`items/*.parquet` or `items-*.parquet`); `domain.json` may be absent. Or the id of
                a dataset repository of the Hub that holds the same.
            hub_arguments: `revision`, `token`, `cache_dir`, `local_files_only`, `force_download`,
                as in `huggingface_hub.snapshot_download`.

        Raises:
            QBert4RecError: names file, row and column of what is wrong, or a split that needs
                time stamps where there are none.
        """
        given, folder = Path(folder), find_domain_folder(folder, **hub_arguments)
        info = read_domain_info(folder)
        if folder != given and not (folder / DOMAIN_FILE).exists():
            # Not after the folder of the cache.
            info = replace(info, name=given.name)
        items = check_items(read_tables(folder, ITEMS))
        checked = read_interactions(folder, items[ITEM_ID].tolist())
        try:
            return cls.from_checked(items, checked, info, folder)
        except QBert4RecError as error:
            raise QBert4RecError(f"{folder / DOMAIN_FILE}: {error}") from None

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes the domain folder, its image files and its dataset card.

        The folder appears complete or not at all. A domain folder that stands there is replaced,
        unless it holds files that no domain folder has.

        Args:
            folder: where to write. Image files, codes and the report of a preparation are copied
                when the domain has a folder already.

        Returns:
            The folder; `path` is set to it.

        Raises:
            QBert4RecError: the folder holds something else, or cannot be written; or an image is a
                link to a file outside the domain's own folder.
        """
        with domain_folder(folder) as temporary:
            self.write_into(temporary)
            if self.path is not None and (self.path / CODES_FOLDER).is_dir():
                for file in (self.path / CODES_FOLDER).rglob("*"):
                    require_inside(file, self.path)
                shutil.copytree(self.path / CODES_FOLDER, temporary / CODES_FOLDER)
        self.path = Path(folder)
        return self.path

    def write_into(self, folder: Path) -> None:
        """Writes the files of a domain folder into an existing folder (see `save`)."""
        write_items(self.items, folder / f"{ITEMS}.parquet")
        write_interactions(
            self.user_ids,
            self.item_ids,
            self._sequences,
            self.timestamps,
            folder / f"{INTERACTIONS}.parquet",
        )
        self._copy_images(folder)
        write_json(folder / DOMAIN_FILE, asdict(self.info))
        preparation = None
        if self.path is not None and (self.path / PREPARATION_FILE).is_file():
            preparation = read_json(require_inside(self.path / PREPARATION_FILE, self.path))
            write_json(folder / PREPARATION_FILE, preparation)
        card = domain_card(self.info, preparation)
        (folder / CARD_FILE).write_text(card, encoding="utf-8")

    @property
    def name(self) -> str:
        """Short name."""
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

    def _repr_html_(self) -> str:
        return domain_html(self)

    def sequences(self) -> tuple[np.ndarray, Sequences]:
        """The histories in time order.

        Returns:
            `user_ids` `[users]` and one row of item rows a user.
        """
        return self.user_ids, self._sequences

    def split(self) -> Split:
        """The split that `info` asks for: leave-one-out, or one cut-off in time for everybody."""
        return split_by(self.info, self.user_ids, self._sequences, self.timestamps)

    def with_split(
        self,
        split: str = LEAVE_ONE_OUT,
        *,
        validation_from: int | None = None,
        test_from: int | None = None,
        ties: str = KEEP_TIES,
    ) -> Domain:
        """The same domain, to be split in another way; `save` keeps it.

        Args:
            split: "leave_one_out" or "temporal".
            validation_from: temporal split: the first time stamp after training.
            test_from: temporal split: the first time stamp of the test period.
            ties: "keep", or "drop-users" (see `leave_one_out` and `temporal_split`).

        Raises:
            QBert4RecError: cut-offs that are missing or do not rise, or no time stamps.
        """
        temporal = split != LEAVE_ONE_OUT
        info = replace(
            self.info,
            split=split,
            ties=ties,
            validation_from=validation_from if temporal else None,
            test_from=test_from if temporal else None,
        )
        info = counted(info, self.item_ids, self.user_ids, self._sequences, self.timestamps)
        return Domain(
            self.items, self.user_ids, self._sequences, self.timestamps, info, path=self.path
        )

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
        if self.path is None:
            return
        named = [image for images in self.items[IMAGES] for image in images]
        for image in dict.fromkeys([*named, *downloaded_files(self.path)]):
            source = self.image_path(image)
            if source is None or not source.is_file():
                continue
            require_inside(source, self.path)
            target = folder / image
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
