from __future__ import annotations

import pytest
import torch
from tiny_sequence import make_model, tokens_of

from qbert4rec_hf.ranking.query_attention import query_attention


@pytest.mark.parametrize("item_encoding", ["grouped", "tokens"])
def test_it_is_the_attention_of_the_forward_pass(item_encoding):
    model = make_model(item_encoding=item_encoding)
    model.set_attn_implementation("eager")
    history = tokens_of(model, [[3, 1, 7, 4]])
    query = torch.full((1, 3), model.config.mask_token_id)
    attentions = model(torch.cat([history, query], dim=1), output_attentions=True).attentions
    mean = torch.stack(attentions).mean(dim=(0, 1, 2))
    if item_encoding == "grouped":
        expected = mean[-1]
    else:
        expected = mean[-3:].mean(dim=0).view(5, 3).sum(dim=1)
    found = query_attention(model, history.view(4, 3))
    assert found.shape == (5,) and float(found.sum()) == pytest.approx(1)
    assert found.std() > 0.01
    torch.testing.assert_close(found, expected)
    model.set_attn_implementation("sdpa")
    torch.testing.assert_close(query_attention(model, history.view(4, 3)), expected)


def test_without_a_history_the_query_looks_at_itself():
    found = query_attention(make_model(), torch.empty(0, 3, dtype=torch.long))
    assert found.tolist() == [1.0]
