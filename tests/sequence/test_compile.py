"""`torch.compile` takes encoder and ranking as they are."""

from __future__ import annotations

import pytest
import torch
from tiny_sequence import make_model, tokens_of


@pytest.mark.parametrize("of_items", [False, True], ids=["codes", "item embeddings"])
@pytest.mark.parametrize("encoding", ["grouped", "tokens"])
def test_the_same_outputs_without_a_graph_break(encoding, of_items):
    model = make_model(item_encoding=encoding, item_embeddings=of_items)
    inputs = {"input_ids": tokens_of(model, [[1, 2, 3], [4, 5, 6]])}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["attention_mask"][1, :3] = 0
    torch._dynamo.reset()
    with torch.no_grad():
        # With fullgraph a break is an error.
        encode = torch.compile(model.qbert4rec, backend="eager", fullgraph=True)
        states = encode(**inputs).last_hidden_state
        assert torch.equal(states, model.qbert4rec(**inputs).last_hidden_state)
        # Item embeddings are looked up by code: a first call without the compiler makes the table.
        expected = model.score_items(**inputs)
        score = torch.compile(model.score_items, backend="eager", fullgraph=True)
        assert torch.equal(score(**inputs), expected)
