"""Rows that live in memory as tensors: a data set of row numbers and a collator that gathers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.data import Dataset


class RowNumbers(Dataset):
    """The numbers 0 to `length` - 1, for tensors that are gathered a batch at a time."""

    def __init__(self, length: int):
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, row: int) -> int:
        return row


def gather_collator(
    gather: Callable[[torch.Tensor], dict],
) -> Callable[[list[int]], dict]:
    """A collator that hands the batch's row numbers `[batch]` to `gather`."""

    def collate(rows: list[int]) -> dict:
        return gather(torch.tensor(rows, dtype=torch.long))

    return collate
