"""Rankings in half precision are those of full precision, but for what is a near tie anyway."""

from __future__ import annotations

import pytest
import torch
from tiny_sequence import SIZES, distinct_codes, make_model, masked_batch, tokens_of

from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM

EVERY_ITEM = SIZES[0] * SIZES[1] * SIZES[2]
HALVES = [torch.bfloat16, torch.float16]


def histories(model) -> dict[str, torch.Tensor]:
    """Histories of 1 to 4 items, padded, and one that is nothing but padding."""
    items = torch.randint(EVERY_ITEM, (25, 4), generator=torch.Generator().manual_seed(1))
    tokens, mask = tokens_of(model, items), torch.ones(25, 12, dtype=torch.long)
    for row in range(25):
        mask[row, : 3 * (row % 5)] = 0
    return {"input_ids": tokens * mask, "attention_mask": mask}


def share_in_common(first: torch.Tensor, second: torch.Tensor, k: int = 10) -> float:
    """The share of the best k items of each row that both have."""
    pairs = zip(first.topk(k).indices.tolist(), second.topk(k).indices.tolist(), strict=True)
    return sum(len({*one} & {*other}) for one, other in pairs) / (k * len(first))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("encoding", ["grouped", "tokens"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_best_items_stay_the_best(dtype, encoding, attention):
    model = make_model(distinct_codes(EVERY_ITEM), item_encoding=encoding)
    model.set_attn_implementation(attention)
    inputs = histories(model)
    with torch.no_grad():
        full = model.score_items(**inputs)
        half = model.to(dtype).score_items(**inputs)
        logits = model(**inputs).logits
    assert half.dtype == torch.float32 and half.isfinite().all()
    assert logits.dtype == dtype and logits.isfinite().all() and not logits.isnan().any()
    torch.testing.assert_close(half.exp().sum(dim=1), torch.ones(25))
    assert share_in_common(full, half) > 0.95
    # A sum of three rounded logits would leave a few dozen values for 120 items.
    assert all(len(row.unique()) > 0.97 * EVERY_ITEM for row in half)


@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_rounds_no_score(dtype):
    model = make_model(distinct_codes(EVERY_ITEM))
    inputs = histories(model)
    with torch.no_grad():
        # Biases are added in full precision whatever is done, and would hide ties.
        model.head.bias.zero_()
        model.item_bias.zero_()
        full = model.score_items(**inputs)
        with torch.autocast("cpu", dtype=dtype):
            half = model.score_items(**inputs)
    assert half.dtype == torch.float32 and share_in_common(full, half) > 0.95
    assert all(len(row.unique()) > 0.97 * EVERY_ITEM for row in half)


@pytest.mark.parametrize("objective", ["catalog", "codes"])
@pytest.mark.parametrize("dtype", HALVES)
def test_losses_are_finite_with_rows_of_padding(dtype, objective):
    model = make_model(distinct_codes(EVERY_ITEM), objective=objective).to(dtype)
    inputs = histories(model)
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    labels[:, :9] = -100
    for attention in ("sdpa", "eager"):
        model.set_attn_implementation(attention)
        model.train()
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_folder_opened_in_half_precision(dtype, tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    half = QBert4RecForMaskedLM.from_pretrained(tmp_path, dtype=dtype)
    assert half.head.dense.weight.dtype == dtype
    assert half.catalog_codes.dtype == torch.long
    tokens = tokens_of(model, [[1, 2, 3]])
    found = half.score_items(tokens)
    assert found.dtype == torch.float32
    assert (found - model.score_items(tokens)).abs().max() < 0.3
    batch = masked_batch(model, [[0, 1, 2]], [[0, 0, 1]])
    output = half(**batch)
    assert output.logits.isfinite().all()
    assert abs(output.loss - model(**batch).loss) < 0.3
    half.train()(**batch).loss.backward()
    assert half.head.dense.weight.grad.isfinite().all()
