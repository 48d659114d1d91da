from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
import torch
from laws import (
    assert_batch_equals_single,
    assert_padding_changes_nothing,
    assert_save_load_is_bit_equal,
    assert_sdpa_equals_eager,
    assert_seeded_run_repeats,
    outputs,
)
from tiny_sequence import distinct_codes, make_model, masked_batch, tokens_of
from transformers import AutoModel, AutoModelForMaskedLM, set_seed

from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM, QBert4RecModel


def scores(model, inputs):
    with torch.no_grad():
        return {"scores": model.score_items(**inputs)}


def brute_force(model, tokens) -> torch.Tensor:
    """Log-probabilities `[items]` of the next item after one history, from the full logits."""
    query = torch.full((1, 3), model.config.mask_token_id)
    logits = model(torch.cat([tokens[None], query], dim=1)).logits[0, -3:].double()
    codes = model.catalog_codes + torch.tensor(model.config.level_offsets)
    total = sum(logits[level, codes[:, level]] for level in range(3))
    return (total + (0 if model.item_bias is None else model.item_bias)).log_softmax(-1)


class TestLaws:
    def test_save_and_load(self, model, batch, tmp_path):
        assert_save_load_is_bit_equal(model, batch, tmp_path, AutoModelForMaskedLM)

    def test_save_and_load_scores(self, model, tmp_path):
        inputs = {"input_ids": tokens_of(model, [[1, 2, 3]])}
        assert_save_load_is_bit_equal(model, inputs, tmp_path, AutoModelForMaskedLM, run=scores)

    def test_padding(self, model):
        inputs = {"input_ids": tokens_of(model, [[1, 2, 3], [4, 5, 6]])}
        for padding in ((6, 0), (0, 6)):
            padded = {"input_ids": torch.nn.functional.pad(inputs["input_ids"], padding)}
            assert_padding_changes_nothing(model, inputs, padded, run=scores)

    def test_padding_and_loss(self, model):
        items, hidden = [[0, 1, 2, 3]], [[0, 1, 0, 1]]
        inputs = masked_batch(model, items, hidden)
        padded = {
            "input_ids": torch.nn.functional.pad(inputs["input_ids"], (6, 0)),
            "labels": torch.nn.functional.pad(inputs["labels"], (6, 0), value=-100),
        }

        def loss(model, inputs):
            return {"loss": outputs(model, inputs)["loss"]}

        assert_padding_changes_nothing(model, inputs, padded, run=loss)

    def test_batch_equals_single(self, model, batch):
        assert_batch_equals_single(model, batch)
        assert_batch_equals_single(
            model, {k: batch[k] for k in ("input_ids", "attention_mask")}, run=scores
        )

    def test_sdpa_equals_eager(self, model, batch):
        assert_sdpa_equals_eager(model, batch, atol=1e-4)

    def test_seeded_run_repeats(self, model, batch):
        def run():
            model.train()
            model.zero_grad()
            loss = model(**batch).loss
            loss.backward()
            return {"loss": loss.detach(), "gradient": model.head.dense.weight.grad.clone()}

        assert_seeded_run_repeats(run)


class TestLogits:
    def test_only_the_positions_own_level_has_real_logits(self, model):
        logits = outputs(model, {"input_ids": tokens_of(model, [[0, 1]])})["logits"]
        assert logits.shape == (1, 6, model.config.vocab_size)
        for position in range(6):
            start = model.config.level_offsets[position % 3]
            own = torch.zeros(model.config.vocab_size, dtype=torch.bool)
            own[start : start + model.config.codebook_sizes[position % 3]] = True
            assert (logits[0, position, ~own] == torch.finfo(logits.dtype).min).all()
            assert (logits[0, position, own].abs() < 1e4).all()

    def test_training_with_labels_builds_none(self, model, batch):
        assert model.train()(**batch).logits is None
        assert model.eval()(**batch).logits is not None

    def test_hidden_states_and_tuples(self, model, batch):
        output = model(**batch, output_hidden_states=True)
        assert len(output.hidden_states) == 3
        loss, logits, *_ = model(**batch, return_dict=False)
        assert torch.equal(loss, output.loss) and torch.equal(logits, output.logits)

    def test_attentions(self, model, batch):
        model.set_attn_implementation("eager")
        output = model(**batch, output_attentions=True)
        assert len(output.attentions) == 2 and output.attentions[0].ndim == 4

    def test_head_and_embeddings_are_one(self, model, tmp_path):
        model.save_pretrained(tmp_path)
        for loaded in (model, QBert4RecForMaskedLM.from_pretrained(tmp_path)):
            embeddings = loaded.get_input_embeddings().weight
            assert loaded.get_output_embeddings().weight.data_ptr() == embeddings.data_ptr()

    def test_head_and_embeddings_can_be_two(self, tmp_path):
        model = make_model(tie_word_embeddings=False)
        assert not torch.equal(model.head.decoder.weight, model.get_input_embeddings().weight)
        inputs = masked_batch(model, [[0, 1]], [[0, 1]])
        assert_save_load_is_bit_equal(model, inputs, tmp_path, AutoModelForMaskedLM)


class TestLoss:
    def test_codes_is_the_mean_of_k_cross_entropies(self):
        model = make_model(objective="codes")
        batch = masked_batch(model, [[0, 1, 2, 3], [4, 5, 6, 7]], [[0, 1, 0, 1], [1, 0, 0, 0]])
        output = model(**batch)
        # The minimum outside a level's tokens is no mass: plain cross-entropy over the vocabulary.
        expected = torch.nn.functional.cross_entropy(
            output.logits.flatten(0, 1), batch["labels"].flatten()
        )
        torch.testing.assert_close(output.loss, expected)

    def test_catalog_is_the_mean_over_hidden_items(self):
        model = make_model()
        batch = masked_batch(model, [[3, 1, 2, 9]], [[0, 0, 0, 1]])
        expected = -brute_force(model, tokens_of(model, [3, 1, 2]))[9]
        torch.testing.assert_close(model(**batch).loss, expected.float())

    def test_only_hidden_positions_count(self, model, batch):
        other = dict(batch)
        other["labels"] = batch["labels"].masked_fill(batch["labels"] == -100, -1)
        assert torch.equal(model(**batch).loss, model(**other).loss)

    def test_items_that_share_an_id_share_their_mass(self):
        codes = distinct_codes(8)
        codes[5] = codes[2]
        model = make_model(codes)
        batch = masked_batch(model, [[0, 1, 5]], [[0, 0, 1]])
        each = brute_force(model, tokens_of(model, [0, 1]))
        expected = -torch.logsumexp(each[[2, 5]], dim=0)
        torch.testing.assert_close(model(**batch).loss, expected.float())

    @pytest.mark.parametrize("objective", ["catalog", "codes"])
    def test_a_row_is_normalised_over_its_own_domain(self, objective):
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

    def test_several_domains_need_domain_ids(self):
        model = make_model(num_items=[6, 4])
        with pytest.raises(ValueError, match="give domain_ids"):
            model(**masked_batch(model, [[0, 1]], [[0, 1]]))
        with pytest.raises(ValueError, match="give domain_ids"):
            model.score_items(tokens_of(model, [[0, 1]]))

    def test_codes_without_bias_needs_neither_domains_nor_catalogue(self):
        model = make_model(num_items=[6, 4], objective="codes", item_bias=False)
        assert model.train()(**masked_batch(model, [[0, 1]], [[0, 1]])).loss.isfinite()

    def test_under_codes_the_bias_learns_and_the_encoder_does_not_learn_from_it(self):
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

    def test_the_sampled_softmax_is_right_on_average(self):
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

    def test_the_sampled_softmax_knows_shared_ids(self):
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

    def test_num_items_in_batch_makes_parts_add_up(self, model):
        batch = masked_batch(
            model, [[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 0, 1]] * 2 + [[0, 1, 1]]
        )
        total = (batch["labels"] >= 0).sum()
        whole = model(**batch).loss
        halves = [
            model(**{k: v[rows] for k, v in batch.items()}, num_items_in_batch=total).loss
            for rows in (slice(0, 1), slice(1, 3))
        ]
        torch.testing.assert_close(sum(halves), whole)

    def test_a_large_catalogue_is_searched_quickly(self):
        """20,000 items and 2,000 hidden ones: no loop over either."""
        sizes = [64, 64, 64]
        codes = torch.cartesian_prod(*[torch.arange(size) for size in sizes])[::13]
        model = make_model(codes, codebook_sizes=sizes, num_sampled_items=100).train()
        model._prefix_tree(0)
        start = time.perf_counter()
        model._find_items(codes[torch.randint(len(codes), (2000,))], 0)
        assert time.perf_counter() - start < 0.5

    def test_a_tiny_batch_can_be_learnt_by_heart(self, model):
        batch = masked_batch(model, [[0, 1, 2, 3], [4, 5, 6, 7]], [[0, 0, 1, 1], [0, 1, 0, 1]])
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(60):
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert model(**batch).loss < 0.05

    @pytest.mark.parametrize("objective", ["catalog", "codes"])
    def test_a_token_of_another_level_is_refused(self, objective):
        model = make_model(objective=objective)
        batch = masked_batch(model, [[0, 1]], [[0, 1]])
        batch["labels"][:, -3:] = batch["labels"][:, -3:].flip(1)
        with pytest.raises(ValueError, match=r"labels hold token \d+ where a token of level"):
            model(**batch)

    def test_an_item_that_does_not_exist_is_refused(self):
        model = make_model()
        batch = masked_batch(model, [[0, 1]], [[0, 1]])
        unknown = next(c for c in distinct_codes(60) if not (c == model.catalog_codes).all(1).any())
        batch["labels"][0, -3:] = unknown + torch.tensor(model.config.level_offsets)
        with pytest.raises(ValueError, match=r"call model\.set_catalog"):
            model(**batch)

    def test_half_an_item_is_refused(self):
        model = make_model()
        batch = masked_batch(model, [[0, 1]], [[0, 1]])
        batch["labels"][0, -1] = -100
        with pytest.raises(ValueError, match="masked in part"):
            model(**batch)

    def test_labels_of_another_shape_are_refused(self):
        model = make_model()
        batch = masked_batch(model, [[0, 1]], [[0, 1]])
        with pytest.raises(ValueError, match="shape of input_ids"):
            model(batch["input_ids"], labels=batch["labels"][:, :3])


class TestScores:
    def test_they_are_the_sum_over_levels(self, model):
        tokens = tokens_of(model, [[1, 2, 3], [8, 9, 0]])
        for row, found in enumerate(model.score_items(tokens)):
            torch.testing.assert_close(found, brute_force(model, tokens[row]).float())

    def test_without_bias(self):
        model = make_model(item_bias=False)
        tokens = tokens_of(model, [1, 2])
        expected = brute_force(model, tokens).float()
        torch.testing.assert_close(model.score_items(tokens[None])[0], expected)

    def test_empty_histories(self, model):
        empty = model.score_items(torch.zeros(2, 0, dtype=torch.long))
        assert empty.shape == (2, 10) and empty.isfinite().all()
        padded = model.score_items(torch.zeros(2, 6, dtype=torch.long))
        torch.testing.assert_close(padded, empty)

    def test_a_long_history_counts_by_its_latest_items(self, model):
        items = [0, 1, 2, 3, 4, 5, 6, 7]  # max_items is 6
        expected = model.score_items(tokens_of(model, [items[2:]]))
        torch.testing.assert_close(model.score_items(tokens_of(model, [items])), expected)
        for padding in ((9, 0), (0, 9)):
            padded = torch.nn.functional.pad(tokens_of(model, [items]), padding)
            torch.testing.assert_close(model.score_items(padded), expected)

    def test_other_domains_have_no_probability(self):
        model = make_model(num_items=[6, 4])
        tokens = tokens_of(model, [[0, 1], [6, 7], [2, 3]])
        found = model.score_items(tokens, domain_ids=torch.tensor([0, 1, 0]))
        assert (found[[0, 2], 6:] == -torch.inf).all() and (found[1, :6] == -torch.inf).all()
        torch.testing.assert_close(found.exp().sum(1), torch.ones(3))

    def test_parts_of_items_are_refused(self, model):
        for length in (4, 22):
            with pytest.raises(ValueError, match="no multiple"):
                model.score_items(torch.ones(1, length, dtype=torch.long))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype, tmp_path):
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


def test_the_encoder_of_a_whole_models_folder(model, tmp_path, caplog):
    model.save_pretrained(tmp_path)
    tokens = tokens_of(model, [[1, 2]])
    for loader in (QBert4RecModel, AutoModel):
        encoder, info = loader.from_pretrained(tmp_path, output_loading_info=True)
        assert type(encoder) is QBert4RecModel
        assert not info["missing_keys"] and not info["unexpected_keys"]
        expected = model.qbert4rec(tokens).last_hidden_state
        assert torch.equal(encoder(tokens).last_hidden_state, expected)


REMOTE = """
import json, sys

class NoPackage:
    # Installed or not: as on a machine without it.
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "qbert4rec_hf":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoPackage())
import torch
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM
folder = sys.argv[1]
tokens = torch.tensor(json.loads(sys.argv[2]))
model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
encoder = AutoModel.from_pretrained(folder, trust_remote_code=True)
assert AutoConfig.from_pretrained(folder, trust_remote_code=True).num_items == [10]
assert type(encoder).__name__ == "QBert4RecModel", type(encoder)
with torch.no_grad():
    result = {
        "scores": model.score_items(tokens).tolist(),
        "states": encoder(tokens).last_hidden_state.tolist(),
    }
# What came from a folder can be saved with its code once more.
model.save_pretrained(sys.argv[3])
again = AutoModelForMaskedLM.from_pretrained(sys.argv[3], trust_remote_code=True)
assert torch.equal(again.score_items(tokens), model.score_items(tokens))
assert type(AutoModel.from_pretrained(sys.argv[3], trust_remote_code=True)) is not None
print(json.dumps(result))
"""


def test_a_saved_folder_opens_without_the_package(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_qbert4rec.QBert4RecConfig",
        "AutoModel": "modeling_qbert4rec_encoder.QBert4RecModel",
        "AutoModelForMaskedLM": "modeling_qbert4rec.QBert4RecForMaskedLM",
    }
    tokens = tokens_of(model, [[1, 2, 3]])
    command = [sys.executable, "-I", "-c", REMOTE, "model", json.dumps(tokens.tolist()), "again"]
    environment = {
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    with torch.no_grad():
        assert torch.equal(torch.tensor(found["scores"]), model.score_items(tokens))
        states = model.qbert4rec(tokens).last_hidden_state
    assert torch.equal(torch.tensor(found["states"]), states)


def test_a_bare_encoders_folder_names_no_code_that_it_lacks(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path / "whole")
    QBert4RecModel.from_pretrained(tmp_path / "whole").save_pretrained(tmp_path / "bare")
    auto_map = json.loads((tmp_path / "bare" / "config.json").read_text())["auto_map"]
    for name in auto_map.values():
        assert (tmp_path / "bare" / f"{name.split('.')[0]}.py").exists()
