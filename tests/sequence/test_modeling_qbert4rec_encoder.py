from __future__ import annotations

import pytest
import torch
from laws import (
    assert_batch_equals_single,
    assert_padding_changes_nothing,
    assert_save_load_is_bit_equal,
    assert_sdpa_equals_eager,
    checkpoint_activations,
    outputs,
)
from tiny_sequence import tokens_of
from transformers import AutoModel

from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecModel


def last_item(model, inputs):
    """The state of the last item, which padding in front must not change."""
    states = outputs(model, inputs)["last_hidden_state"]
    positions = 1 if model.config.item_encoding == "grouped" else model.config.num_levels
    return {"last": states[:, -positions:]}


def replaced(config, **fields):
    """The configuration with other values in some fields."""
    return type(config)(**{**config.to_dict(), **fields})


@pytest.fixture
def encoder(model) -> QBert4RecModel:
    return model.qbert4rec


@pytest.fixture
def inputs(model) -> dict[str, torch.Tensor]:
    return {"input_ids": tokens_of(model, [[0, 1, 2], [3, 4, 5]])}


def test_one_state_a_position(encoder, inputs):
    positions = 3 if encoder.config.item_encoding == "grouped" else 9
    assert outputs(encoder, inputs)["last_hidden_state"].shape == (2, positions, 16)


def test_save_and_load(encoder, inputs, tmp_path):
    assert_save_load_is_bit_equal(encoder, inputs, tmp_path, AutoModel)


def test_padding_in_front(encoder, inputs):
    padded = {"input_ids": torch.nn.functional.pad(inputs["input_ids"], (6, 0))}
    assert_padding_changes_nothing(encoder, inputs, padded, run=last_item)
    # The values under the mask do not matter either.
    masked = {"input_ids": padded["input_ids"].clone()}
    masked["attention_mask"] = (masked["input_ids"] != 0).long()
    masked["input_ids"][:, :6] = 5
    assert_padding_changes_nothing(encoder, inputs, masked, run=last_item)


def test_padding_behind(encoder, inputs):
    behind = {"input_ids": torch.nn.functional.pad(inputs["input_ids"], (0, 6))}
    expected = outputs(encoder, inputs)["last_hidden_state"]
    found = outputs(encoder, behind)["last_hidden_state"][:, : expected.shape[1]]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_batch_equals_single(encoder, inputs):
    assert_batch_equals_single(encoder, inputs)


def test_sdpa_equals_eager(encoder, inputs):
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["attention_mask"][0, :3] = 0
    assert_sdpa_equals_eager(encoder, inputs)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_read_items_are_those_of_all(model, inputs, layers, padded, attention):
    encoder = type(model.qbert4rec)(replaced(model.config, num_hidden_layers=layers)).eval()
    encoder.set_attn_implementation(attention)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["attention_mask"][0, :3] = 0 if padded else 1
    every = outputs(encoder, inputs)["last_hidden_state"]
    by_item = every.view(2, 3, -1, 16)
    read = torch.tensor([[2, 1], [1, 0]])
    expected = torch.stack([by_item[0, [2, 1]], by_item[1, [1, 0]]]).flatten(1, 2)
    found = outputs(encoder, {**inputs, "read_items": read})["last_hidden_state"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_order_matters(encoder, inputs):
    """Positions reach the states: the same items in another order give another last state."""
    swapped = {"input_ids": inputs["input_ids"][:, [3, 4, 5, 0, 1, 2, 6, 7, 8]]}
    first, second = last_item(encoder, inputs)["last"], last_item(encoder, swapped)["last"]
    assert (first - second).abs().max() > 1e-3


def test_hidden_states_and_attentions(encoder, inputs):
    encoder.set_attn_implementation("eager")
    output = encoder(**inputs, output_hidden_states=True, output_attentions=True)
    positions = output.last_hidden_state.shape[1]
    assert len(output.hidden_states) == encoder.config.num_hidden_layers + 1
    assert all(state.shape == (2, positions, 16) for state in output.hidden_states)
    assert len(output.attentions) == encoder.config.num_hidden_layers
    for weights in output.attentions:
        assert weights.shape == (2, 2, positions, positions)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, positions))


def test_a_tuple_on_request(encoder, inputs):
    states = encoder(**inputs, return_dict=False)
    assert isinstance(states, tuple)
    torch.testing.assert_close(states[0], encoder(**inputs).last_hidden_state)


def test_it_refuses_parts_of_items(encoder):
    with pytest.raises(ValueError, match="no multiple of the 3 levels"):
        encoder(torch.ones(1, 4, dtype=torch.long))


def test_gradient_checkpointing_changes_no_gradient(model, batch):
    gradients = []
    for checkpointing in (False, True):
        model.train()
        if checkpointing:
            checkpoint_activations(model)
        torch.manual_seed(0)
        model.zero_grad()
        model(**batch).loss.backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-5, atol=1e-6)


def test_another_dropout_for_further_training(model, inputs, tmp_path):
    model.set_dropout(0.0)
    model.train()
    first, second = (model.qbert4rec(**inputs).last_hidden_state for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    model.set_dropout(0.5)
    first, second = (model.qbert4rec(**inputs).last_hidden_state for _ in range(2))
    assert not torch.equal(first, second)
    model.save_pretrained(tmp_path)
    opened = type(model).from_pretrained(tmp_path)
    assert opened.config.hidden_dropout_prob == 0.5
    assert opened.config.attention_probs_dropout_prob == 0.5
    with pytest.raises(ValueError, match="got 1.0"):
        model.set_dropout(1.0)
    assert model.config.hidden_dropout_prob == 0.5
