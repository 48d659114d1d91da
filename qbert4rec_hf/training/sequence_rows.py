"""Histories as rows that the Trainer reads, and ranking batches for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ..data.sequences import Sequences
from ..errors import QBert4RecError
from ..sequence.histories import encode_histories

MIN_TRAINING_LENGTH = 2


@dataclass(frozen=True)
class DomainHistories:
    """Histories of one domain, items numbered as in the catalogue of all domains.

    Args:
        train: training histories, without any validation or test item.
        validation: what is known before each validation target, one row a user.
        targets: `[users]`, the item taken next, by row of the catalogue.
        domain: number of the domain.
    """

    train: Sequences
    validation: Sequences
    targets: np.ndarray
    domain: int = 0


class HistoryRows(Dataset):
    """Training rows `{"items", "domain"}`; histories of a single item have nothing to learn from.

    Args:
        domains: whose training histories.
        prefixes: every prefix of two or more items is a row of its own, so that in one epoch every
            item but a history's first is the last one of a row once. Without it a row is a history.

    Raises:
        QBert4RecError: no history has two items.
    """

    def __init__(self, domains: Sequence[DomainHistories], *, prefixes: bool = False):
        kept = [d.train.take(d.train.lengths >= MIN_TRAINING_LENGTH) for d in domains]
        self.sequences = Sequences.concat(kept)
        self.domains = np.repeat([d.domain for d in domains], [len(rows) for rows in kept])
        if not len(self.sequences):
            raise QBert4RecError(
                "no training history has two items; the interactions are too few to learn from"
            )
        lengths = self.sequences.lengths
        if prefixes:
            self._history = np.repeat(np.arange(len(lengths)), lengths - 1)
            before = np.cumsum(lengths - 1) - (lengths - 1)
            place = np.arange(len(self._history)) - before[self._history]
            self.lengths = place + MIN_TRAINING_LENGTH
        else:
            self._history, self.lengths = np.arange(len(lengths)), lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict:
        history = self._history[row]
        items = self.sequences[history][: self.lengths[row]]
        return {"items": items, "domain": self.domains[history]}


class RankingRows(Dataset):
    """Evaluation rows `{"items", "target", "domain"}`, shortest history first (no padding lost)."""

    def __init__(self, domains: Sequence[DomainHistories]):
        sequences = Sequences.concat([d.validation for d in domains])
        targets = np.concatenate([np.asarray(d.targets, dtype=np.int64) for d in domains])
        numbers = np.repeat([d.domain for d in domains], [len(d.targets) for d in domains])
        order = np.argsort(sequences.lengths, kind="stable")
        self.sequences = sequences.take(order)
        self.targets, self.domains = targets[order], numbers[order]

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, row: int) -> dict:
        return {
            "items": self.sequences[row],
            "target": self.targets[row],
            "domain": self.domains[row],
        }


class LengthBatches(Sampler[int]):
    """Row numbers in an order in which each batch holds histories of like length.

    Transformers' own grouping walks from long to short within a large chunk, which is a curriculum
    in disguise; here the batches themselves come in random order.

    Args:
        lengths: `[rows]`.
        batch_size: rows a batch, of all processes together.
        seed: the order follows from it and the epoch alone. Drawn from a global generator it would
            differ between processes once their dropout has used up different amounts of it.
        chunk: batches that are sorted together; smaller is more random, larger pads less.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, *, seed: int = 0, chunk: int = 16):
        self.lengths, self.batch_size, self.seed, self.chunk = lengths, batch_size, seed, chunk
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of an epoch; the Trainer calls it, after a resumption too."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(len(self.lengths))
        batches = []
        size = self.chunk * self.batch_size
        for start in range(0, len(order), size):
            part = order[start : start + size]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        last = batches.pop() if len(batches[-1]) < self.batch_size else None
        generator.shuffle(batches)
        yield from (int(row) for batch in batches for row in batch)
        # A short batch in the middle would shift the limits of all that follow.
        if last is not None:
            yield from (int(row) for row in last)


class RankingCollator:
    """Pads histories for `score_items`: token ids, attention mask, item rows, target, domain.

    Args:
        item_tokens: `[items, levels]`, token ids of the catalogue.
        max_items: the latest items that the model reads; `history` keeps all of them, since seen
            items are left out of a ranking however long ago they were.
    """

    def __init__(self, item_tokens: torch.Tensor, max_items: int):
        self.item_tokens, self.max_items = item_tokens, max_items

    def __call__(self, rows: Sequence[dict]) -> dict[str, torch.Tensor]:
        batch = encode_histories(
            Sequences.from_lists([row["items"] for row in rows]), self.item_tokens, self.max_items
        )
        longest = max(len(row["items"]) for row in rows)
        history = torch.full((len(rows), longest), -1)
        for number, row in enumerate(rows):
            history[number, : len(row["items"])] = torch.from_numpy(np.asarray(row["items"]))
        batch["history"] = history
        batch["target"] = torch.tensor([int(row["target"]) for row in rows])
        batch["domain_ids"] = torch.tensor([int(row["domain"]) for row in rows])
        return batch
