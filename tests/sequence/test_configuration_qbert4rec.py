from __future__ import annotations

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from laws import outputs
from tiny_sequence import make_model, masked_batch, tokens_of
from transformers import AutoConfig

from qbert4rec_hf.sequence.configuration_qbert4rec import QBert4RecConfig


def test_the_defaults_are_the_papers_sizes():
    config = QBert4RecConfig()
    assert config.codebook_sizes == [256] * 4
    assert config.vocab_size == 3 + 4 * 256
    assert (config.num_hidden_layers, config.num_attention_heads) == (4, 4)
    assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == 0.2
    assert config.intermediate_size == 4 * config.hidden_size


def test_levels_follow_each_other_in_the_vocabulary():
    config = QBert4RecConfig(codebook_sizes=[5, 300, 2])
    assert config.num_levels == 3
    assert config.level_offsets == [3, 8, 308]
    assert config.vocab_size == 310


def test_it_comes_back_from_its_folder(tmp_path):
    config = QBert4RecConfig(codebook_sizes=[7, 9], num_items=[4, 3], objective="codes")
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is QBert4RecConfig
    assert loaded.to_dict() == config.to_dict() | {"_name_or_path": str(tmp_path)}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("codebook_sizes", [], "codebook_sizes must be positive"),
        ("codebook_sizes", [4, 0], "codebook_sizes must be positive"),
        ("num_items", [3, 0], "num_items must be positive"),
        ("vocab_size", 7, "leave vocab_size out"),
        ("hidden_size", 30, "not a multiple of num_attention_heads"),
        ("hidden_size", 0, "hidden_size must be at least 1"),
        ("num_attention_heads", 0, "num_attention_heads must be at least 1"),
        ("num_hidden_layers", -1, "num_hidden_layers must not be negative"),
        ("max_items", 0, "max_items must be at least 1"),
        ("hidden_dropout_prob", 1.0, "hidden_dropout_prob must lie in"),
        ("attention_probs_dropout_prob", -0.1, "attention_probs_dropout_prob must lie in"),
        ("hidden_act", "gleu", "hidden_act 'gleu'"),
        ("num_sampled_items", 0, "num_sampled_items must be at least 1"),
        ("ranking_temperature", 0.0, "ranking_temperature must be above 0"),
        ("pad_token_id", 1, "must be 0, 1 and 2"),
        ("unk_token_id", 7, "must be 0, 1 and 2"),
        ("item_encoding", "pairs", "item_encoding"),
        ("objective", "pairs", "objective"),
        ("hidden_size", "large", "hidden_size"),
        ("item_bias", 3, "item_bias"),
        ("format_version", 2, "later than this code reads"),
    ],
)
def test_it_refuses(field, value, message):
    with pytest.raises((ValueError, StrictDataclassError), match=message):
        QBert4RecConfig(**{field: value})


def test_a_wrong_assignment_is_refused_too():
    config = QBert4RecConfig()
    with pytest.raises(StrictDataclassError):
        config.max_items = "many"


ITEMS, HIDDEN = [[0, 1, 2, 3]], [[0, 1, 0, 1]]

# Every field that shapes the model, and a value unlike the one of `make_model`.
CHANGES = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "hidden_act": "relu",
    "initializer_range": 0.1,
    "layer_norm_eps": 1e-2,
    "item_encoding": "tokens",
    "item_bias": False,
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize("field", CHANGES)
def test_each_field_has_an_effect_on_the_loss(field):
    losses = []
    for fields in ({}, {field: CHANGES[field]}):
        model = make_model(**fields)
        losses.append(outputs(model, masked_batch(model, ITEMS, HIDDEN))["loss"])
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_dropout_prob": 0.5},
        {"attention_probs_dropout_prob": 0.5},
        {"objective": "codes"},
        {"num_sampled_items": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_field_of_training_has_an_effect(changes):
    losses = []
    for fields in ({}, changes):
        still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        model = make_model(**{**still, **fields}).train()
        torch.manual_seed(0)
        losses.append(model(**masked_batch(model, ITEMS, HIDDEN)).loss)
    assert losses[0] != losses[1]


def test_max_items_limits_the_history():
    model = make_model(max_items=2)
    with pytest.raises(ValueError, match="more than max_items 2"):
        model(tokens_of(model, [[0, 1, 2, 3]]))


def test_special_tokens_may_stand_in_another_order():
    config = {"pad_token_id": 2, "mask_token_id": 0, "unk_token_id": 1}
    model = make_model(**config)
    tokens = tokens_of(model, [[0, 1]])
    padded = torch.cat([torch.full((1, 3), 2), tokens], dim=1)
    torch.testing.assert_close(model.score_items(padded), model.score_items(tokens))
    # The query is made of the tokens that this config calls masks.
    query = torch.cat([tokens, torch.zeros(1, 3, dtype=torch.long)], dim=1)
    logits = model(query).logits[0, -3:]
    codes = model.catalog_codes + torch.tensor(model.config.level_offsets)
    expected = sum(logits[level, codes[:, level]] for level in range(3)) + model.item_bias
    torch.testing.assert_close(model.score_items(tokens)[0], expected.log_softmax(-1))
