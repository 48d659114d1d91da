from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.training.sequence_rows import (
    DomainHistories,
    HistoryRows,
    LengthBatches,
    RankingCollator,
    RankingRows,
)


def domain(train, validation, targets, number=0) -> DomainHistories:
    lists = Sequences.from_lists
    return DomainHistories(lists(train), lists(validation), np.array(targets), number)


TWO = [
    domain([[0, 1], [2], []], [[0, 1, 2], [2]], [3, 0]),
    domain([[5, 6, 7]], [[5, 6]], [8], number=1),
]


def test_training_rows_are_the_histories_with_something_to_learn():
    rows = HistoryRows(TWO)
    assert [
        (row["items"].tolist(), int(row["domain"])) for row in map(rows.__getitem__, (0, 1))
    ] == [
        ([0, 1], 0),
        ([5, 6, 7], 1),
    ]
    assert len(rows) == 2


def test_every_prefix_is_a_row():
    rows = HistoryRows(TWO, prefixes=True)
    found = [(row["items"].tolist(), int(row["domain"])) for row in map(rows.__getitem__, range(3))]
    assert found == [([0, 1], 0), ([5, 6], 1), ([5, 6, 7], 1)]
    assert len(rows) == 3 and rows.lengths.tolist() == [2, 2, 3]


def test_nothing_to_learn_from():
    with pytest.raises(QBert4RecError, match="no training history has two items"):
        HistoryRows([domain([[1], []], [[1]], [2])])


def test_ranking_rows_come_shortest_first_with_their_own_targets():
    rows = RankingRows(TWO)
    found = [
        (r["items"].tolist(), int(r["target"]), int(r["domain"]))
        for r in map(rows.__getitem__, range(3))
    ]
    assert found == [([2], 0, 0), ([5, 6], 8, 1), ([0, 1, 2], 3, 0)]


class TestLengthBatches:
    lengths = np.random.default_rng(0).integers(2, 50, size=203)

    def order(self, **kwargs) -> list[int]:
        epoch = kwargs.pop("epoch", 0)
        sampler = LengthBatches(self.lengths, 8, **kwargs)
        sampler.set_epoch(epoch)
        assert len(sampler) == len(self.lengths)
        return list(sampler)

    def test_every_row_comes_once(self):
        assert sorted(self.order()) == list(range(203))

    def test_batches_hold_like_lengths(self):
        lengths = self.lengths[self.order()]
        batches = [lengths[i : i + 8] for i in range(0, 200, 8)]
        spread = np.mean([np.ptp(batch) for batch in batches])
        assert spread < np.mean([np.ptp(self.lengths[i : i + 8]) for i in range(0, 200, 8)]) / 4

    def test_batches_come_in_no_order_of_length(self):
        means = self.lengths[self.order()][:200].reshape(-1, 8).mean(axis=1)
        assert abs(np.corrcoef(means, np.arange(25))[0, 1]) < 0.5

    def test_seed_and_epoch_alone_decide(self):
        torch.manual_seed(1)
        first = self.order(seed=3, epoch=2)
        torch.manual_seed(2)  # as in another process, which has drawn other dropout masks
        assert first == self.order(seed=3, epoch=2)
        assert first != self.order(seed=3, epoch=1)
        assert first != self.order(seed=4, epoch=2)


def test_ranking_batches():
    tokens = 3 + 2 * torch.arange(9)[:, None] + torch.arange(2)
    rows = RankingRows(TWO)
    batch = RankingCollator(tokens, max_items=2)([rows[i] for i in range(3)])
    assert batch["input_ids"].shape == (3, 4)
    assert batch["input_ids"][2].tolist() == tokens[[1, 2]].flatten().tolist()
    # What was seen stays seen, however long ago.
    assert batch["history"].tolist() == [[2, -1, -1], [5, 6, -1], [0, 1, 2]]
    assert batch["target"].tolist() == [0, 8, 3]
    assert batch["domain_ids"].tolist() == [0, 1, 0]


def test_ranking_batches_of_empty_histories():
    rows = [{"items": np.array([], dtype=np.int64), "target": 1, "domain": 0}]
    batch = RankingCollator(torch.zeros(3, 2, dtype=torch.long), 4)(rows)
    assert batch["input_ids"].shape == (1, 0) and batch["history"].shape == (1, 0)
