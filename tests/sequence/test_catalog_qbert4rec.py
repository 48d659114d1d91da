from __future__ import annotations

import copy
import pickle

import pytest
import torch
from laws import assert_save_load_is_bit_equal
from tiny_sequence import distinct_codes, make_model, masked_batch, tokens_of
from transformers import AutoModelForMaskedLM

from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM


def scores(model, inputs):
    with torch.no_grad():
        return {"scores": model.score_items(**inputs)}


@pytest.mark.parametrize("size", [6, 14])
def test_another_catalogue_carries_biases_over(size, tmp_path):
    """From 10 items to 6, and to 14; saved and loaded after each."""
    model = make_model()
    before = model.item_bias.detach().clone()
    item_map = torch.tensor(([9, -1, 0, 3, -1, 5] + [-1] * 8)[:size])
    codes = distinct_codes(size, seed=1)
    model.set_catalog(codes, item_map=item_map)
    assert torch.equal(model.catalog_codes, codes)
    assert model.config.num_items == [size]
    expected = [before[row].item() if row >= 0 else 0.0 for row in item_map.tolist()]
    assert model.item_bias.tolist() == pytest.approx(expected)
    inputs = {"input_ids": tokens_of(model, [[0, 5, 2]])}
    assert scores(model, inputs)["scores"].shape == (1, size)
    assert_save_load_is_bit_equal(model, inputs, tmp_path, AutoModelForMaskedLM, run=scores)


def test_down_and_up_again(tmp_path):
    model, codes = make_model(), distinct_codes(10)
    inputs = {"input_ids": tokens_of(model, [[7, 3, 1]])}
    expected, bias = scores(model, inputs), model.item_bias.detach().clone()
    model.set_catalog(codes[4:], item_map=torch.arange(4, 10))
    model.save_pretrained(tmp_path)
    model = QBert4RecForMaskedLM.from_pretrained(tmp_path)
    model.set_catalog(codes, item_map=torch.tensor([-1] * 4 + list(range(6))))
    assert torch.equal(model.item_bias[4:], bias[4:])
    assert not model.item_bias[:4].any()
    with torch.no_grad():
        model.item_bias[:4] = bias[:4]
    assert torch.equal(scores(model, inputs)["scores"], expected["scores"])


def test_a_model_can_be_trained_on_its_new_catalogue():
    model = make_model()
    model(**masked_batch(model, [[0, 1]], [[0, 1]])).loss.backward()
    model.set_catalog(distinct_codes(6, seed=1))
    model.train()
    model(**masked_batch(model, [[0, 5]], [[0, 1]])).loss.backward()
    assert model.item_bias.grad.shape == (6,)
    assert model.item_bias.grad.abs().sum() > 0


def test_a_frozen_bias_stays_frozen():
    model = make_model()
    model.item_bias.requires_grad_(False)
    model.set_catalog(distinct_codes(6))
    assert not model.item_bias.requires_grad


def test_the_models_codes_are_its_own():
    codes = distinct_codes(10)
    model = make_model(codes)
    codes += 1
    assert torch.equal(model.catalog_codes, distinct_codes(10))


def test_the_fingerprint_names_codes_and_sizes():
    model, other = make_model(), make_model(codebook_sizes=[5, 4, 7])
    fingerprint = model.config.catalog_fingerprint
    assert len(fingerprint) == 16 and fingerprint == model.fingerprint_catalog()
    assert fingerprint != other.config.catalog_fingerprint
    model.set_catalog(distinct_codes(10).flip(0))
    assert fingerprint != model.config.catalog_fingerprint
    model.set_catalog(distinct_codes(10).int())
    assert fingerprint == model.config.catalog_fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"codes": torch.zeros(4, 2)}, r"codes must be \[items, 3\]"),
        ({"codes": torch.tensor([[0, 0, 0], [0, 4, 0]])}, "row 1: code 4 of level 1"),
        ({"codes": torch.tensor([[0, -1, 0]])}, "row 0: code -1 of level 1"),
        ({"codes": torch.zeros(0, 3)}, "positive numbers"),
        ({"codes": torch.zeros(4, 3), "num_items": [2, 1]}, "add up to the 4 rows"),
        ({"codes": torch.zeros(4, 3), "num_items": [4, 0]}, "positive numbers"),
        ({"codes": torch.zeros(4, 3), "item_map": [0, 1]}, "a row for each of the 4 items"),
        ({"codes": torch.zeros(2, 3), "item_map": [0, 10]}, "0 to 9"),
        ({"codes": torch.zeros(2, 3), "item_map": [0, -2]}, "0 to 9"),
    ],
)
@pytest.mark.parametrize("item_bias", [True, False])
def test_it_refuses_and_leaves_the_model_as_it_was(arguments, message, item_bias):
    model = make_model(item_bias=item_bias)
    before = model.state_dict() | {"config": model.config.to_dict()}
    with pytest.raises(ValueError, match=message):
        model.set_catalog(**arguments)
    after = model.state_dict() | {"config": model.config.to_dict()}
    assert before.pop("config") == after.pop("config")
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("loader", [QBert4RecForMaskedLM, AutoModelForMaskedLM])
def test_a_catalogue_of_another_size_is_never_garbage(loader, tmp_path):
    make_model().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"catalog_codes .* call model.set_catalog"):
        loader.from_pretrained(tmp_path, num_items=[6], ignore_mismatched_sizes=True)
    # Without a mismatch the argument is harmless.
    model = loader.from_pretrained(tmp_path, ignore_mismatched_sizes=True)
    assert len(model.catalog_codes) == 10


def test_a_bare_encoders_folder_has_no_catalogue(tmp_path):
    """The config speaks of 10 items, the file has no codes: no item may be made up."""
    full = make_model()
    full.qbert4rec.save_pretrained(tmp_path)
    model, info = QBert4RecForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert "catalog_codes" in info["missing_keys"]
    assert model.config.num_items == [] and model.config.catalog_fingerprint is None
    with pytest.raises(ValueError, match="no catalogue yet"):
        model.score_items(tokens_of(full, [[0, 1]]))
    model.set_catalog(distinct_codes(10))
    assert model.score_items(tokens_of(full, [[0, 1]])).shape == (1, 10)


def test_items_are_found_by_their_codes():
    codes = distinct_codes(40)
    model = make_model(codes, num_items=[25, 15])
    for domain, rows in ((0, range(25)), (1, range(25, 40))):
        tree, start = model._prefix_tree(domain), rows.start
        found = model._find_items(codes[list(rows)], domain)
        assert (tree["item"][found] + start).tolist() == list(rows)
        others = torch.tensor([row for row in range(40) if row not in rows])
        assert (model._find_items(codes[others], domain) == -1).all()


def test_a_code_outside_its_codebook_finds_nothing():
    # Code 4 of the second level would be code 0 under the next first code.
    model = make_model(torch.tensor([[0, 0, 0], [1, 0, 0]]))
    assert model._find_items(torch.tensor([[0, 4, 0], [1, -4, 0]]), 0).tolist() == [-1, -1]


def test_loaded_codes_are_looked_up_anew():
    model, other = make_model(), make_model(distinct_codes(10, seed=1))
    model._prefix_tree(0)
    for assign in (False, True):
        model.load_state_dict(other.state_dict(), assign=assign)
        assert (model._find_items(other.catalog_codes, 0) >= 0).all()
        model.set_catalog(distinct_codes(10))
        assert (model._find_items(model.catalog_codes, 0) >= 0).all()


def test_a_model_that_has_ranked_is_copied_and_pickled():
    model = make_model(item_embeddings=True)
    tokens = tokens_of(model, [[1, 2]])
    expected = model.score_items(tokens)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied.score_items(tokens), expected)
        copied.set_catalog(distinct_codes(4))
        assert copied.score_items(tokens_of(copied, [[1, 2]])).shape == (1, 4)
    assert torch.equal(model.score_items(tokens), expected)


def test_items_with_one_id_are_one_group():
    codes = distinct_codes(6)
    codes[4] = codes[1]
    model = make_model(codes)
    groups = model._find_items(codes, 0).tolist()
    assert groups[4] == groups[1] and len(set(groups)) == 5


def test_there_is_no_such_domain():
    model = make_model(num_items=[6, 4])
    assert model.domain_slice(1) == slice(6, 10)
    for domain in (2, -1):
        with pytest.raises(ValueError, match="2 domains"):
            model.domain_slice(domain)
