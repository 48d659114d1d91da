from __future__ import annotations

import pytest
import torch

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.features.batches import Batcher, is_out_of_memory


def test_like_lengths_run_together_within_the_budget():
    lengths = [3, 50, 4, 48, 1, 2, 60]
    batches = [batch for batch, _ in Batcher(100).run(lengths, lambda batch: None)]
    assert sorted(i for batch in batches for i in batch) == list(range(7))
    assert [[lengths[i] for i in batch] for batch in batches] == [[60], [50, 48], [4, 3, 2, 1]]


def test_a_number_of_entries_is_a_limit_of_its_own():
    def sizes(batcher):
        return [len(batch) for batch, _ in batcher.run([1] * 7, lambda batch: None)]

    assert sizes(Batcher(max_size=3)) == [3, 3, 1]
    assert sizes(Batcher(2, max_size=3)) == [2, 2, 2, 1]
    assert sizes(Batcher()) == [7]


def test_an_entry_above_the_budget_runs_alone():
    assert [batch for batch, _ in Batcher(10).run([5, 99], lambda batch: None)] == [[1], [0]]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_and_that_is_remembered(error, caplog):
    tried = []

    def work(batch):
        tried.append(len(batch))
        if len(batch) > 3:
            raise error
        return [i * 10 for i in batch]

    batcher = Batcher(max_size=8)
    lengths = [1] * 10
    found = dict(
        pair for batch, r in batcher.run(lengths, work) for pair in zip(batch, r, strict=True)
    )
    assert found == {i: i * 10 for i in range(10)}
    assert tried == [8, 4, 2, 2, 2, 2, 2]
    assert "going on with 4" in caplog.text
    tried.clear()
    list(batcher.run(lengths, work))
    assert max(tried) == 2


def test_shorter_entries_may_be_more():
    """What is remembered is how much fits, not how many entries."""

    def work(batch):
        if sum(lengths[i] for i in batch) > 100:
            raise MemoryError
        return batch

    lengths = [50] * 4 + [5] * 20
    sizes = [len(batch) for batch, _ in Batcher(400).run(lengths, work)]
    assert sizes == [2, 2, 20]


def test_a_single_entry_that_does_not_fit_is_told():
    def work(batch):
        raise MemoryError

    batcher = Batcher(8, noun="text", hint="lower max_length")
    with pytest.raises(QBert4RecError, match="single text of length 7 does not fit.*lower max_len"):
        list(batcher.run([7, 1], work))


def test_other_errors_are_not_taken_for_it():
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))

    def work(batch):
        raise RuntimeError("wrong shape")

    with pytest.raises(RuntimeError, match="wrong shape"):
        list(Batcher().run([1], work))
