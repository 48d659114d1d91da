"""Encoding a domain in shards, which processes share and an interrupted run takes up again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file
from tqdm.auto import tqdm

from ..errors import QBert4RecError
from ..files import atomic_file, make_folder
from ..processes import Processes
from .base import FeatureEncoder
from .progress import ShardsBar, bars_are_shown
from .store import ModalityFeatures, read_modality

if TYPE_CHECKING:
    from ..data.domain import Domain


@dataclass(frozen=True)
class Shard:
    """Neighbouring items of a domain, from `start` up to `stop`."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def file(self, folder: Path) -> Path:
        """Where its vectors are kept until the domain is finished."""
        return folder / f"{self.start:09d}-{self.stop:09d}.safetensors"


def encode_in_shards(
    encoder: FeatureEncoder,
    domain: Domain,
    team: Processes,
    *,
    shard_size: int,
    folder: Path | None = None,
    progress: bool = True,
) -> ModalityFeatures | None:
    """Encodes the items of a domain shard by shard.

    Shards go round by round, one for each process; after a round all know of all, so that an error
    in one process stops the others there and then. How items fall into shards depends on the
    number of items only, not on that of processes, and batches are formed within a shard.

    Args:
        encoder: of one modality.
        domain: what to encode.
        team: the processes that share the work.
        shard_size: items a shard.
        folder: of this encoder's shards; those that lie there are taken over, and new ones added.
            All processes must see it. None keeps them in memory.
        progress: whether the first process shows a progress bar.

    Returns:
        All vectors. With a folder, only the first process gets them, the others get None.

    Raises:
        QBert4RecError: from the encoder, or shards that other processes wrote are not there.
    """
    if not len(domain):
        return encoder.encode(domain.items, domain.path, progress=False)
    shards = [
        Shard(start, min(start + shard_size, len(domain)))
        for start in range(0, len(domain), shard_size)
    ]
    parts: dict[int, ModalityFeatures] = {}
    if folder is not None and team.first:
        found = {number: _read(shard, folder) for number, shard in enumerate(shards)}
        parts = {number: part for number, part in found.items() if part is not None}
    done = team.first_does(lambda: list(parts))
    missing = [number for number in range(len(shards)) if number not in done]
    shown = progress and team.first and bars_are_shown()
    with _bar(encoder, domain, shards, done, shown=shown) as bar:
        for first in range(0, len(missing), team.count):
            numbers = missing[first : first + team.count]
            # In the last round there may be fewer shards than processes.
            number = numbers[team.index] if team.index < len(numbers) else None

            def work(numbers: list[int] = numbers, number: int | None = number):
                if number is None:
                    return None
                shard = shards[number]
                items = domain.items.iloc[shard.start : shard.stop]
                with bar.round(numbers, len(shard)) as moving:
                    part = encoder.encode(items, domain.path, progress=moving if shown else False)
                if folder is None:
                    return part
                _write(shard, folder, part)
                if team.first:
                    parts[number] = part
                return None

            made = team.together(work)
            if folder is None:
                parts.update(zip(numbers, made, strict=False))
    joined: list[ModalityFeatures] = []

    def join() -> None:
        if folder is None or team.first:
            joined.append(_join(shards, parts, folder))

    team.together(join)
    return joined[0] if joined else None


def shard_folder(partial: Path, name: str, print_: str) -> Path:
    """The folder of a modality's shards, without what another encoder or input left there."""
    folder = make_folder(partial / f"{name}-{print_}")
    for other in partial.iterdir():
        # Not by a pattern: "image-*" would also find the shards of a modality "image-back".
        if other != folder and other.name.rpartition("-")[0] == name:
            shutil.rmtree(other)
    return folder


@contextmanager
def _bar(
    encoder: FeatureEncoder,
    domain: Domain,
    shards: Sequence[Shard],
    done: Sequence[int],
    *,
    shown: bool,
) -> Iterator[ShardsBar]:
    """The progress bar of a domain, past the shards that are done already."""
    description = f"{domain.name}: {encoder.modality} ({encoder.kind})"
    with tqdm(total=len(domain), desc=description, unit="item", disable=not shown) as inner:
        efforts = encoder.effort(domain.items) if shown else np.ones(len(domain))
        bar = ShardsBar(inner, [efforts[shard.start : shard.stop].sum() for shard in shards])
        bar.skip(done)
        yield bar


def _join(
    shards: Sequence[Shard], parts: dict[int, ModalityFeatures], folder: Path | None
) -> ModalityFeatures:
    """All shards in their order; those of other processes are read."""
    for number, shard in enumerate(shards):
        if number not in parts and folder is not None:
            part = _read(shard, folder)
            if part is None:
                raise QBert4RecError(
                    f"{shard.file(folder)}, which another process wrote, is not there; all "
                    "processes must work in one folder that they share"
                )
            parts[number] = part
    return ModalityFeatures.concat([parts[number] for number in range(len(shards))])


def _read(shard: Shard, folder: Path) -> ModalityFeatures | None:
    try:
        part = read_modality(shard.file(folder))
    except QBert4RecError:
        return None
    return part if len(part) == len(shard) else None


def _write(shard: Shard, folder: Path, part: ModalityFeatures) -> None:
    with atomic_file(shard.file(folder)) as temporary:
        save_file({"vectors": part.vectors, "mask": part.mask}, temporary)
