"""A next-item rule that can be learnt in seconds, for the tests of stage 3's training."""

from __future__ import annotations

import numpy as np
from tiny_sequence import SIZES, distinct_codes

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.data.split import leave_one_out
from qbert4rec_hf.training.build_sequence_model import build_sequence_model
from qbert4rec_hf.training.sequence_rows import DomainHistories
from qbert4rec_hf.training.sequence_settings import SequenceSettings

NUM_ITEMS = 12


def rule_histories(users: int = 41, length: int = 7, seed: int = 0) -> Sequences:
    """After item i comes item 5 i + 1 (modulo the catalogue); lengths differ a little."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(users):
        row = [int(generator.integers(NUM_ITEMS))]
        while len(row) < length - int(generator.integers(3)):
            row.append((5 * row[-1] + 1) % NUM_ITEMS)
        rows.append(row)
    return Sequences.from_lists(rows)


def rule_domain(**kwargs) -> DomainHistories:
    """Leave-one-out histories of the rule, as `train_sequence` takes them."""
    sequences = rule_histories(**kwargs)
    split = leave_one_out(sequences, np.arange(len(sequences)).astype(str))
    return DomainHistories(split.train, split.histories("validation"), split.targets("validation"))


def rule_model(**fields):
    """A small model whose catalogue has the rule's items."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "max_items": 8}
    codes = distinct_codes(NUM_ITEMS).numpy()
    return build_sequence_model(codes, SIZES, [NUM_ITEMS], architecture={**sizes, **fields})


def rule_settings(**fields) -> SequenceSettings:
    """Few, small steps."""
    return SequenceSettings(**{"epochs": 3, "batch_size": 8, "learning_rate": 1e-2, **fields})
