from __future__ import annotations

import torch
from tiny_sequence import make_model, tokens_of

from qbert4rec_hf.data.sequences import Sequences
from qbert4rec_hf.sequence.histories import encode_histories


def encode(lists, max_items=3):
    model = make_model()
    tokens = model.catalog_codes + torch.tensor(model.config.level_offsets)
    return model, encode_histories(Sequences.from_lists(lists), tokens, max_items)


def test_histories_are_padded_on_the_left():
    model, batch = encode([[4, 5], [6], []])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, 6)
    assert torch.equal(batch["input_ids"][0], tokens_of(model, [4, 5]))
    assert torch.equal(batch["input_ids"][1, 3:], tokens_of(model, [6]))
    assert batch["input_ids"][1, :3].tolist() == [0, 0, 0]
    assert batch["attention_mask"].tolist() == [[1] * 6, [0] * 3 + [1] * 3, [0] * 6]


def test_the_latest_items_are_kept():
    model, batch = encode([[1, 2, 3, 4, 5]])
    assert torch.equal(batch["input_ids"][0], tokens_of(model, [3, 4, 5]))


def test_without_any_item():
    _, batch = encode([[], []])
    assert batch["input_ids"].shape == (2, 0)
    _, batch = encode([])
    assert batch["input_ids"].shape == (0, 0)


def test_the_model_ranks_what_comes_out():
    model, batch = encode([[4, 5], [], [6]])
    alone = model.score_items(tokens_of(model, [[6]]))
    torch.testing.assert_close(model.score_items(**batch)[2:], alone)
