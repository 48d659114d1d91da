"""One learned vector an item, beside its codes."""

from __future__ import annotations

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from tiny_sequence import distinct_codes, make_model, masked_batch, tokens_of

from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from qbert4rec_hf.sequence.modeling_qbert4rec_encoder import QBert4RecModel


@pytest.fixture(params=["grouped", "tokens"])
def model(request) -> QBert4RecForMaskedLM:
    return make_model(item_encoding=request.param, item_embeddings=True)


def scores_by_hand(model, history: list[int]) -> torch.Tensor:
    """Log-probabilities `[items]`: vectors of the history go in, the state meets all of them."""
    levels, offsets = model.config.num_levels, torch.tensor(model.config.level_offsets)
    query = torch.full((1, levels), model.config.mask_token_id)
    vectors = torch.cat([model.item_embeddings[history], torch.zeros(1, 16)])[None]
    tokens = torch.cat([tokens_of(model, [history]), query], dim=1)
    hidden = model.qbert4rec(tokens, item_embeds=vectors).last_hidden_state
    positions = levels if model.config.item_encoding == "tokens" else 1
    states = model.head.transform(hidden[0, -positions:])
    tokens = model.catalog_codes + offsets
    logits = model.item_bias + model.item_embeddings @ states[-1]
    for level in range(levels):
        decoder = model.head.decoder.weight[tokens[:, level]]
        state = states[min(level, positions - 1)]
        logits = logits + decoder @ state + model.head.bias[tokens[:, level]]
    return logits.log_softmax(0)


@torch.no_grad()
def test_they_join_the_codes_on_both_sides(model):
    found = model.score_items(tokens_of(model, [[3, 1, 7]]))[0]
    torch.testing.assert_close(found, scores_by_hand(model, [3, 1, 7]))
    batch = masked_batch(model, [[3, 1, 7, 9]], [[0, 0, 0, 1]])
    torch.testing.assert_close(model(**batch).loss, -found[9])


@torch.no_grad()
def test_only_visible_whole_items_have_one(model):
    batch = masked_batch(model, [[3, 1, 7]], [[0, 1, 0]])
    batch["input_ids"][0, :3] = model.config.pad_token_id
    before = model(**batch).logits
    model.item_embeddings[[3, 1]] += 1.0
    assert torch.equal(model(**batch).logits, before)
    model.item_embeddings[7] += 1.0
    assert not torch.equal(model(**batch).logits, before)
    # A hidden token in a visible item: it is that item no more.
    batch["input_ids"][0, 7] = model.config.mask_token_id
    before = model(**batch).logits
    model.item_embeddings[7] += 1.0
    assert torch.equal(model(**batch).logits, before)


@torch.no_grad()
def test_vectors_of_zero_change_nothing():
    plain, model = make_model(), make_model()
    model.add_item_embeddings()
    assert model.config.item_embeddings and model.item_embeddings.abs().sum() == 0
    tokens = tokens_of(plain, [[1, 2], [5, 6]])
    assert torch.equal(model.score_items(tokens), plain.score_items(tokens))
    model.item_embeddings += 1.0
    model.add_item_embeddings()
    assert model.item_embeddings.sum() == model.item_embeddings.numel()


@torch.no_grad()
def test_items_that_share_an_id_share_their_vector():
    codes = distinct_codes(8)
    codes[5] = codes[2]
    model = make_model(codes, item_embeddings=True, item_bias=False)
    # One history at a time: where several threads share a product, equal rows differ in a last bit.
    scores = torch.cat([model.score_items(tokens_of(model, [h])) for h in ([0, 5], [0, 2])])
    assert torch.equal(scores[0], scores[1])
    torch.testing.assert_close(scores[:, 5], scores[:, 2])


@torch.no_grad()
def test_a_row_takes_those_of_its_own_domain():
    codes = distinct_codes(10)
    codes[6:] = codes[:4]  # the same semantic IDs in both domains
    model = make_model(codes, num_items=[6, 4], item_embeddings=True)
    scores = model.score_items(tokens_of(model, [[0, 1], [6, 7]]), domain_ids=torch.tensor([0, 1]))
    for domain, rows in ((0, slice(0, 6)), (1, slice(6, 10))):
        alone = make_model(codes[rows], item_embeddings=True)
        alone.item_embeddings.copy_(model.item_embeddings[rows])
        alone.item_bias.copy_(model.item_bias[rows])
        expected = alone.score_items(tokens_of(alone, [[0, 1]]))[0]
        torch.testing.assert_close(scores[domain, rows], expected)


def test_they_are_saved_and_move_with_the_catalogue(model, tmp_path, caplog):
    model.save_pretrained(tmp_path)
    opened = QBert4RecForMaskedLM.from_pretrained(tmp_path)
    assert torch.equal(opened.item_embeddings, model.item_embeddings)
    opened.set_catalog(distinct_codes(10)[[4, 2]], item_map=torch.tensor([4, -1]))
    assert torch.equal(opened.item_embeddings[0], model.item_embeddings[4])
    assert opened.item_embeddings[1].abs().sum() == 0
    _, info = QBert4RecModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["unexpected_keys"] and not info["missing_keys"]


def test_a_model_without_any_gets_zeros(tmp_path):
    make_model().save_pretrained(tmp_path)
    opened = QBert4RecForMaskedLM.from_pretrained(tmp_path, item_embeddings=True)
    assert opened.item_embeddings.shape == (10, 16) and opened.item_embeddings.abs().sum() == 0


def test_the_codes_objective_has_no_use_for_them():
    with pytest.raises(StrictDataclassClassValidationError, match="'catalog', not 'codes'"):
        make_model(objective="codes", item_embeddings=True)
    with pytest.raises(ValueError, match="objective 'catalog', not by the model's 'codes'"):
        make_model(objective="codes").add_item_embeddings()
