"""The way from raw files to a domain folder."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...columns import CARD_FILE, DOMAIN_FILE, INTERACTIONS, PREPARATION_FILE
from ...errors import QBert4RecError
from ...files import make_folder, write_json
from ..domain_card import domain_card
from ..domain_files import domain_folder
from ..domain_info import BY_TIMESTAMPS, ON_TRUST, TEMPORAL, DomainInfo
from ..readers.read import FileReport, ReadOptions, ReadReport, read_metadata, read_reviews
from .coding import code_log
from .engine import DEFAULT_MEMORY_LIMIT, Engine, open_engine
from .filters import (
    Log,
    drop_duplicates,
    keep_described,
    keep_first,
    keep_period,
    keep_ratings,
)
from .identical import merge_identical
from .k_core import keep_core
from .ordering import number_rows, order_log
from .pictures import Pictures, keep_downloads
from .report import Preparation
from .settings import DROP, FIRST, PrepareSettings
from .statistics import LogFigures, log_figures, table_of
from .steps import Steps
from .temporal import find_cutoffs
from .write_tables import define_item_rows, write_interactions, write_items

_WORK_FOLDER = ".work"
_NO_METADATA = (
    "SELECT NULL::VARCHAR AS item_id, NULL::VARCHAR AS title, NULL::VARCHAR[] AS text, "
    "NULL::VARCHAR[] AS images, NULL::VARCHAR AS brand, NULL::VARCHAR[] AS categories, "
    "NULL::DOUBLE AS price, NULL::INTEGER AS file WHERE false"
)


def prepare_domain(
    reviews: Sequence[str | os.PathLike],
    folder: str | os.PathLike,
    *,
    metadata: Sequence[str | os.PathLike] = (),
    images: str | os.PathLike | None = None,
    name: str | None = None,
    settings: PrepareSettings | None = None,
    reading: ReadOptions | None = None,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
) -> Preparation:
    """Makes a domain folder of raw files.

    Reading, cleaning and ordering are done by DuckDB on files beside the result, in memory that
    does not grow with the number of reviews. The folder appears complete or not at all.

    Args:
        reviews: files with who took what and when, of any format that is read, plain or
            compressed, in any mixture; or `hub:owner/name[:config[:split]]`.
        folder: the domain folder to write; a domain folder that stands there is replaced;
            pictures that were downloaded into it are kept.
        metadata: files with what is known of the items; may be empty.
        images: folder with pictures named by item id (`ITEM.jpg`); they are copied.
        name: short name of the domain; that of the folder by default.
        settings: how the log is cleaned, ordered and split.
        reading: what the files are, where it cannot be told from them.
        memory_limit: of DuckDB. The process needs about half a GB besides.
        threads: of DuckDB; by default all of the machine. More of them need more memory.

    Returns:
        What was done; also in the folder, as `preparation.json` and in its card.

    Raises:
        QBert4RecError: a file or setting is wrong, nothing is left after a step, memory or disk
            do not suffice; one line that says what to change.
    """
    settings = settings or PrepareSettings()
    if settings.items_without_metadata == DROP and not metadata:
        raise QBert4RecError(
            "dropping items without metadata needs metadata; give the files, or keep such items"
        )
    if images is not None and not Path(images).is_dir():
        raise QBert4RecError(f"{images} is not a folder; give the folder with the pictures")
    folder = Path(folder)
    with domain_folder(folder) as target:
        work = make_folder(target / _WORK_FOLDER)
        steps = Steps()
        try:
            with open_engine(work, memory_limit=memory_limit, threads=threads) as engine:
                work_on = _Work(engine, steps, target, settings)
                work_on.read(reviews, metadata, reading or ReadOptions())
                work_on.clean()
                work_on.order()
                work_on.write(None if images is None else Path(images))
                preparation = work_on.conclude(folder, name or folder.resolve().name)
        finally:
            steps.close()
            shutil.rmtree(work, ignore_errors=True)
        keep_downloads(folder, target)
    return preparation


class _Work:
    """One preparation: the stages in order, and what they hand on."""

    def __init__(
        self, engine: Engine, steps: Steps, target: Path, settings: PrepareSettings
    ) -> None:
        self.engine = engine
        self.steps = steps
        self.target = target
        self.settings = settings
        self.has_times = False
        self.rounds = 0
        self.merged: int | None = None

    def read(
        self,
        reviews: Sequence[str | os.PathLike],
        metadata: Sequence[str | os.PathLike],
        reading: ReadOptions,
    ) -> None:
        """Files of any format -> tables of integers."""
        staging = make_folder(self.engine.folder / "staging")
        connection = self.engine.connection
        with self.steps.step("reading reviews"):
            self.reviews = read_reviews(reviews, staging, connection, reading)
            self.engine.attach("reviews", sorted((staging / "reviews").glob("*.parquet")))
        self.has_times = self.reviews.has_timestamps
        needing = self.settings.needing_times
        if needing is not None and not self.has_times:
            raise QBert4RecError(
                f"{needing} needs time stamps, and {self.reviews.files[0].path} has none; leave it "
                "out, or name their column with --column timestamp=NAME"
            )
        with self.steps.step("reading metadata"):
            self.metadata = None
            if metadata:
                self.metadata = read_metadata(metadata, staging, connection, reading)
                self.engine.attach("metadata", sorted((staging / "metadata").glob("*.parquet")))
            else:
                self.engine.create("metadata", _NO_METADATA)
        with self.steps.step("numbering users and items"):
            self.log = Log(self.engine, code_log(self.engine, has_times=self.has_times))

    def clean(self) -> None:
        """The cleaning steps, those that the settings ask for."""
        log = self.log
        for name, step in self._cleaning():
            with self.steps.step(name, lambda: log.rows):
                step(log)

    def _cleaning(self) -> Iterator[tuple[str, Callable[[Log], None]]]:
        settings = self.settings
        # Without time stamps a row that stands twice may as well be a repeat.
        if self.has_times:
            yield "duplicate rows", drop_duplicates
        if settings.since is not None or settings.until is not None:
            yield "period", lambda log: keep_period(log, settings.since_ms, settings.until_ms)
        if settings.min_rating is not None:
            yield "ratings", lambda log: keep_ratings(log, settings.min_rating)
        if settings.merge_identical:
            yield "identical products", self._merge
        if settings.items_without_metadata == DROP:
            yield "items without metadata", keep_described
        if settings.repeats == FIRST:
            yield "repeats", keep_first
        yield "k-core", self._keep_core

    def _merge(self, log: Log) -> None:
        self.merged = merge_identical(log)
        if self.merged and self.has_times:
            # One review is often shown with every variant of a product.
            drop_duplicates(log)

    def _keep_core(self, log: Log) -> None:
        self.rounds = keep_core(log, self.settings.user_core, self.settings.item_core)

    def order(self) -> None:
        """Places of interactions, users and items, and the cut-offs of the split."""
        settings = self.settings
        with self.steps.step("ordering"):
            order_log(
                self.log,
                seed=settings.seed,
                max_history=settings.max_history,
                has_times=self.has_times,
            )
            number_rows(self.engine, seed=settings.seed, whole_catalogue=settings.item_core == 0)
            self.cutoffs: tuple[int | None, int | None] = (None, None)
            if settings.split == TEMPORAL:
                self.cutoffs = find_cutoffs(
                    self.engine, settings.validation_from_ms, settings.test_from_ms
                )

    def write(self, images: Path | None) -> None:
        """Pictures and tables."""
        with self.steps.step("writing"):
            self.pictures = Pictures(self.target, images, _folders(self.metadata))
            self.pictures.copy(self.engine)
            define_item_rows(self.engine)
            write_interactions(self.engine, self.target, has_times=self.has_times)
            write_items(self.engine, self.target)

    def conclude(self, folder: Path, name: str) -> Preparation:
        """Figures, report and card."""
        with self.steps.step("counting"):
            figures = log_figures(self.engine, has_times=self.has_times, test_from=self.cutoffs[1])
            info = self._info(name, figures)
            table = table_of(
                self.engine,
                info,
                figures,
                has_metadata=self.metadata is not None,
                merged=self.merged,
                rounds=self.rounds,
            )
        reports = [report for report in (self.reviews, self.metadata) if report is not None]
        dropped = Counter(self.reviews.dropped)
        dropped.update(self.log.dropped)
        preparation = Preparation(
            folder=folder,
            info=info,
            table={**table, **self.pictures.table()},
            dropped=dict(dropped),
            read=[_described(file) for report in reports for file in report.files],
            settings=self.settings.to_dict(),
        )
        values = preparation.to_dict()
        write_json(self.target / PREPARATION_FILE, values)
        write_json(self.target / DOMAIN_FILE, asdict(info))
        is_sharded = (self.target / INTERACTIONS).is_dir()
        data_files = {INTERACTIONS: f"{INTERACTIONS}/*.parquet"} if is_sharded else None
        card = domain_card(info, values, data_files=data_files)
        (self.target / CARD_FILE).write_text(card, encoding="utf-8")
        return preparation

    def _info(self, name: str, figures: LogFigures) -> DomainInfo:
        settings = self.settings
        names = [Path(file.path).name for file in self.reviews.files]
        names += [Path(file.path).name for file in self.metadata.files] if self.metadata else []
        formats = dict.fromkeys(file.format for file in self.reviews.files)
        return DomainInfo(
            name=name,
            source=f"prepared from {', '.join(names)} ({', '.join(formats)})",
            time_order=BY_TIMESTAMPS if self.has_times else ON_TRUST,
            time_unit="ms" if self.has_times else None,
            tied_pairs=figures.tied_pairs,
            tied_users=figures.tied_users,
            rising_pairs=figures.rising_pairs,
            ties=settings.ties,
            split=settings.split,
            validation_from=self.cutoffs[0],
            test_from=self.cutoffs[1],
            repeats=figures.repeats,
            item_shuffle_seed=settings.seed,
            tie_seed=settings.seed,
            num_items=self.engine.value("SELECT count(*) FROM kept_items"),
            num_users=figures.users,
            num_interactions=figures.interactions,
        )


def _folders(metadata: ReadReport | None) -> dict[int, Path]:
    """The folder of each metadata file on this machine, by the file's number."""
    if metadata is None:
        return {}
    paths = enumerate(Path(file.path) for file in metadata.files)
    return {number: path.parent for number, path in paths if path.is_file()}


def _described(file: FileReport) -> dict[str, Any]:
    """What was read of a file; its name only, for the folder may be published."""
    values = asdict(file)
    return {"file": Path(values.pop("path")).name, **values}
