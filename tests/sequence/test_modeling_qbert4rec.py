from __future__ import annotations

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
from tiny_sequence import brute_force, make_model, masked_batch, tokens_of
from transformers import AutoModelForMaskedLM

from qbert4rec_hf.sequence.modeling_qbert4rec import QBert4RecForMaskedLM


def scores(model, inputs):
    with torch.no_grad():
        return {"scores": model.score_items(**inputs)}


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


class TestRankingTemperature:
    def test_scores_are_those_of_divided_logits(self, model, batch):
        inputs = {"input_ids": tokens_of(model, [[0, 1], [2, 3]])}
        before, loss = scores(model, inputs)["scores"], model(**batch).loss
        model.config.ranking_temperature = 2.5
        after = scores(model, inputs)["scores"]
        torch.testing.assert_close(after, (before / 2.5).log_softmax(dim=1))
        assert not torch.allclose(after, before)
        assert torch.equal(after.argsort(dim=1), before.argsort(dim=1))
        assert torch.equal(model(**batch).loss, loss)


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
