"""What the model learns from: losses under both objectives, and labels that are refused."""

from __future__ import annotations

import time

import pytest
import torch
from tiny_sequence import brute_force, distinct_codes, make_model, masked_batch, tokens_of
from transformers import set_seed


def test_codes_is_the_mean_of_k_cross_entropies():
    model = make_model(objective="codes")
    batch = masked_batch(model, [[0, 1, 2, 3], [4, 5, 6, 7]], [[0, 1, 0, 1], [1, 0, 0, 0]])
    output = model(**batch)
    # The minimum outside a level's tokens is no mass: plain cross-entropy over the vocabulary.
    expected = torch.nn.functional.cross_entropy(
        output.logits.flatten(0, 1), batch["labels"].flatten()
    )
    torch.testing.assert_close(output.loss, expected)


def test_catalog_is_the_mean_over_hidden_items():
    model = make_model()
    batch = masked_batch(model, [[3, 1, 2, 9]], [[0, 0, 0, 1]])
    expected = -brute_force(model, tokens_of(model, [3, 1, 2]))[9]
    torch.testing.assert_close(model(**batch).loss, expected.float())


@pytest.mark.parametrize("hidden", [[[0, 0, 1], [0, 0, 1]], [[1, 0, 1], [0, 1, 0]], [[1] * 3] * 2])
def test_leaving_out_unread_positions_changes_no_gradient(model, hidden):
    """In training the last layer computes hidden items only, unless all states are asked for."""
    batch = masked_batch(model, [[0, 1, 2], [3, 4, 5]], hidden)
    model.set_dropout(0.0)
    model.train()
    results, positions = [], []
    layer = model.qbert4rec.layers[-1]
    layer.register_forward_hook(lambda _module, _inputs, states: positions.append(states.shape[1]))
    for record in (False, True):
        model.zero_grad()
        output = model(**batch, output_hidden_states=record)
        output.loss.backward()
        results.append((output.loss, {n: p.grad.clone() for n, p in model.named_parameters()}))
    a_position_each = 1 if model.config.item_encoding == "grouped" else 3
    assert positions == [max(map(sum, hidden)) * a_position_each, 3 * a_position_each]
    assert output.hidden_states[-1].shape[1] == positions[1]
    (loss, gradients), (expected_loss, expected) = results
    torch.testing.assert_close(loss, expected_loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_only_hidden_positions_count(model, batch):
    other = dict(batch)
    other["labels"] = batch["labels"].masked_fill(batch["labels"] == -100, -1)
    assert torch.equal(model(**batch).loss, model(**other).loss)


def test_items_that_share_an_id_share_their_mass():
    codes = distinct_codes(8)
    codes[5] = codes[2]
    model = make_model(codes)
    batch = masked_batch(model, [[0, 1, 5]], [[0, 0, 1]])
    each = brute_force(model, tokens_of(model, [0, 1]))
    expected = -torch.logsumexp(each[[2, 5]], dim=0)
    torch.testing.assert_close(model(**batch).loss, expected.float())


@pytest.mark.parametrize("objective", ["catalog", "codes"])
def test_a_row_is_normalised_over_its_own_domain(objective):
    codes = distinct_codes(10)
    codes[6:] = codes[:4]  # the same semantic IDs in both domains
    model = make_model(codes, num_items=[6, 4], objective=objective)
    batch = masked_batch(model, [[0, 1], [6, 7]], [[0, 1], [0, 1]])
    both = model(**batch, domain_ids=torch.tensor([0, 1])).loss
    parts = []
    for domain, rows in ((0, slice(0, 6)), (1, slice(6, 10))):
        alone = make_model(codes[rows], objective=objective)
        with torch.no_grad():
            alone.item_bias.copy_(model.item_bias[rows])
        inputs = {name: value[domain : domain + 1] for name, value in batch.items()}
        parts.append(alone(**inputs).loss)
    torch.testing.assert_close(both, torch.stack(parts).mean())


def test_several_domains_need_domain_ids():
    model = make_model(num_items=[6, 4])
    with pytest.raises(ValueError, match="give domain_ids"):
        model(**masked_batch(model, [[0, 1]], [[0, 1]]))
    with pytest.raises(ValueError, match="give domain_ids"):
        model.score_items(tokens_of(model, [[0, 1]]))


def test_codes_without_bias_needs_neither_domains_nor_catalogue():
    model = make_model(num_items=[6, 4], objective="codes", item_bias=False)
    assert model.train()(**masked_batch(model, [[0, 1]], [[0, 1]])).loss.isfinite()


def test_under_codes_the_bias_learns_and_the_encoder_does_not_learn_from_it():
    gradients = {}
    for item_bias in (True, False):
        model = make_model(objective="codes", item_bias=item_bias)
        loss = model(**masked_batch(model, [[0, 1, 2]], [[0, 1, 0]])).loss
        loss.backward()
        gradients[item_bias] = {n: p.grad for n, p in model.named_parameters()}
        gradients[item_bias]["loss"] = loss.detach()
    bias = gradients[True].pop("item_bias")
    # Softmax minus one-hot: negative at the hidden item alone, zero in sum.
    assert (bias < 0).nonzero().flatten().tolist() == [1]
    assert bias.sum().abs() < 1e-6
    for name, gradient in gradients[False].items():
        torch.testing.assert_close(gradients[True][name], gradient)


def test_the_sampled_softmax_is_right_on_average():
    """Over many draws the sampled loss and gradient come near those of the whole softmax."""
    codes = distinct_codes(60)
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    whole = make_model(codes, **still)
    sampled = make_model(codes, num_sampled_items=40, **still)
    batch = masked_batch(whole, [[0, 1, 2], [3, 4, 5]], [[0, 0, 1], [0, 1, 0]])
    expected = whole.train()(**batch).loss
    expected.backward()
    set_seed(0)
    losses = torch.stack([sampled.train()(**batch).loss for _ in range(200)])
    losses.mean().backward()
    assert losses.std() > 0
    assert abs(losses.mean() - expected) < 0.05 * expected
    found, wanted = sampled.head.dense.weight.grad, whole.head.dense.weight.grad
    assert torch.nn.functional.cosine_similarity(found.flatten(), wanted.flatten(), 0) > 0.98
    # Evaluation takes the whole catalogue.
    assert torch.equal(sampled.eval()(**batch).loss, whole.eval()(**batch).loss)


def test_the_sampled_softmax_knows_shared_ids():
    codes = distinct_codes(40)
    codes[30:] = codes[:10]
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    whole = make_model(codes, **still).train()
    sampled = make_model(codes, num_sampled_items=30, **still).train()
    batch = masked_batch(whole, [[0, 11, 2]], [[0, 1, 1]])
    set_seed(0)
    losses = torch.stack([sampled(**batch).loss.detach() for _ in range(200)])
    assert losses.std() > 0
    assert abs(losses.mean() - whole(**batch).loss) < 0.05 * losses.mean()


def test_num_items_in_batch_makes_parts_add_up(model):
    batch = masked_batch(model, [[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 0, 1]] * 2 + [[0, 1, 1]])
    total = (batch["labels"] >= 0).sum()
    whole = model(**batch).loss
    halves = [
        model(**{k: v[rows] for k, v in batch.items()}, num_items_in_batch=total).loss
        for rows in (slice(0, 1), slice(1, 3))
    ]
    torch.testing.assert_close(sum(halves), whole)


def test_a_large_catalogue_is_searched_quickly():
    """20,000 items and 2,000 hidden ones: no loop over either."""
    sizes = [64, 64, 64]
    codes = torch.cartesian_prod(*[torch.arange(size) for size in sizes])[::13]
    model = make_model(codes, codebook_sizes=sizes, num_sampled_items=100).train()
    model._prefix_tree(0)
    start = time.perf_counter()
    model._find_items(codes[torch.randint(len(codes), (2000,))], 0)
    assert time.perf_counter() - start < 0.5


def test_a_tiny_batch_can_be_learnt_by_heart(model):
    batch = masked_batch(model, [[0, 1, 2, 3], [4, 5, 6, 7]], [[0, 0, 1, 1], [0, 1, 0, 1]])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model(**batch).loss < 0.05


@pytest.mark.parametrize("objective", ["catalog", "codes"])
def test_a_token_of_another_level_is_refused(objective):
    model = make_model(objective=objective)
    batch = masked_batch(model, [[0, 1]], [[0, 1]])
    batch["labels"][:, -3:] = batch["labels"][:, -3:].flip(1)
    with pytest.raises(ValueError, match=r"labels hold token \d+ where a token of level"):
        model(**batch)


def test_an_item_that_does_not_exist_is_refused():
    model = make_model()
    batch = masked_batch(model, [[0, 1]], [[0, 1]])
    unknown = next(c for c in distinct_codes(60) if not (c == model.catalog_codes).all(1).any())
    batch["labels"][0, -3:] = unknown + torch.tensor(model.config.level_offsets)
    with pytest.raises(ValueError, match=r"call model\.set_catalog"):
        model(**batch)


def test_half_an_item_is_refused():
    model = make_model()
    batch = masked_batch(model, [[0, 1]], [[0, 1]])
    batch["labels"][0, -1] = -100
    with pytest.raises(ValueError, match="masked in part"):
        model(**batch)


def test_labels_of_another_shape_are_refused():
    model = make_model()
    batch = masked_batch(model, [[0, 1]], [[0, 1]])
    with pytest.raises(ValueError, match="shape of input_ids"):
        model(batch["input_ids"], labels=batch["labels"][:, :3])
