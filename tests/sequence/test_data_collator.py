from __future__ import annotations

import numpy as np
import pytest
import torch

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.sequence.data_collator import (
    FINETUNING_MASKS,
    MASKS,
    PRETRAINING_MASKS,
    DataCollatorForMultiMask,
)

LEVELS = 3
# Item i has tokens 3 + 10 i, 4 + 10 i, 5 + 10 i: every token names its item.
TOKENS = 3 + 10 * torch.arange(30)[:, None] + torch.arange(LEVELS)


def rows_of(*lengths: int) -> list[dict]:
    generator = np.random.default_rng(0)
    return [{"items": generator.permutation(30)[:length]} for length in lengths]


def collate(rows, **fields) -> dict[str, torch.Tensor]:
    return DataCollatorForMultiMask(TOKENS, **{"seed": 0, **fields})(rows)


def by_item(batch) -> tuple[torch.Tensor, ...]:
    size = len(batch["input_ids"])
    return tuple(
        batch[name].view(size, -1, LEVELS) for name in ("input_ids", "labels", "attention_mask")
    )


ALL = {"span": 0.3, "multi_region": 0.15, "tail": 0.1, "random": 0.3, "last": 0.0}


@pytest.mark.parametrize("combination", ["one", "union"])
@pytest.mark.parametrize("masks", [{name: ratio} for name, ratio in ALL.items()] + [ALL])
def test_whole_items_are_hidden_and_no_code_leaks(masks, combination):
    rows = rows_of(*range(2, 22)) * 10
    batch = collate(rows, ratios=masks, combination=combination)
    inputs, labels, attention = by_item(batch)
    hidden = (labels >= 0).all(2)
    assert torch.equal(hidden, (labels >= 0).any(2)), "an item is hidden in part"
    for row, (source, hides) in enumerate(zip(rows, hidden, strict=True)):
        length = len(source["items"])
        hides = hides[:length]
        assert 1 <= hides.sum() < length
        expected = TOKENS[torch.from_numpy(source["items"])]
        assert (inputs[row, :length][hides] == 1).all(), "a code of a hidden item leaks"
        assert torch.equal(labels[row, :length][hides], expected[hides])
        assert torch.equal(inputs[row, :length][~hides], expected[~hides])
        assert attention[row, :length].all()
        assert not attention[row, length:].any()
        assert not inputs[row, length:].any()
        assert (labels[row, length:] == -100).all()


def test_the_paper_hides_three_shares():
    assert PRETRAINING_MASKS == {"span": 0.3, "multi_region": 0.15, "tail": 0.1}
    assert FINETUNING_MASKS == {"random": 0.3}
    assert DataCollatorForMultiMask(TOKENS).ratios == PRETRAINING_MASKS
    assert set(ALL) == set(MASKS)


def hidden_share(collator, length=20, draws=4000) -> float:
    lengths = np.full(draws, length)
    return float(collator.mask(lengths, np.random.default_rng(1)).mean())


def test_one_mask_a_row_is_drawn_by_weight():
    collator = DataCollatorForMultiMask(TOKENS)
    assert hidden_share(collator) == pytest.approx((0.3 + 0.15 + 0.1) / 3, abs=0.01)
    weights = {"span": 1.0, "multi_region": 0.0, "tail": 3.0}
    collator = DataCollatorForMultiMask(TOKENS, weights=weights)
    assert hidden_share(collator) == pytest.approx(0.3 / 4 + 0.1 * 3 / 4, abs=0.01)
    only_tail = dict.fromkeys(weights, 0.0) | {"tail": 1.0}
    mask = DataCollatorForMultiMask(TOKENS, weights=only_tail).mask(
        np.full(100, 20), np.random.default_rng(1)
    )
    assert mask[:, -1].all() and not mask[:, :-2].any()


def test_half_of_the_rows_hide_the_last_item_alone():
    """What inference asks for has its share of the training (the recipe of fine-tuning)."""
    collator = DataCollatorForMultiMask(TOKENS, ratios={"last": 0.0, "random": 0.3})
    mask = collator.mask(np.full(4000, 20), np.random.default_rng(1))
    last_only = mask[:, -1] & (mask.sum(1) == 1)
    assert last_only.mean() == pytest.approx(0.5, abs=0.03)


def test_the_union_hides_what_any_mask_hides():
    one = DataCollatorForMultiMask(TOKENS, combination="union", ratios={"span": 0.3, "tail": 0.1})
    lengths = np.full(500, 20)
    united = one.mask(lengths, np.random.default_rng(5))
    generator = np.random.default_rng(5)
    parts = [MASKS[name](lengths, ratio, generator) for name, ratio in one.ratios.items()]
    assert np.array_equal(united, parts[0] | parts[1])
    # The tail is hidden in each row, and a span somewhere in most of the others.
    assert united[:, -1].all()
    assert united.mean() > 0.3


def test_the_union_leaves_an_item_visible():
    collator = DataCollatorForMultiMask(
        TOKENS, combination="union", ratios={"span": 0.9, "random": 0.9, "last": 0.0}
    )
    lengths = np.full(2000, 2)
    mask = collator.mask(lengths, np.random.default_rng(0))
    assert (mask.sum(1) == 1).all()


def test_a_seed_repeats_and_another_does_not():
    rows = rows_of(*[15] * 20)
    first, second = (collate(rows, seed=3)["input_ids"] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, collate(rows, seed=4)["input_ids"])
    collator = DataCollatorForMultiMask(TOKENS, seed=3)
    assert not torch.equal(collator(rows)["input_ids"], collator(rows)["input_ids"])


def test_without_a_seed_draws_follow_torchs_generator():
    rows, collator = rows_of(*[15] * 20), DataCollatorForMultiMask(TOKENS)
    state = torch.get_rng_state()
    first = collator(rows)["input_ids"]
    second = collator(rows)["input_ids"]
    torch.set_rng_state(state)
    assert torch.equal(first, collator(rows)["input_ids"])
    assert not torch.equal(first, second)


def test_the_latest_items_are_kept_with_a_place_for_the_query():
    """A history of 5 and the item after it, which is where ranking puts its query."""
    rows = [{"items": np.arange(12)}]
    batch = collate(rows, ratios={"last": 0.0}, max_items=5)
    inputs, labels, _ = by_item(batch)
    assert torch.equal(inputs[0, :-1], TOKENS[6:11])
    assert torch.equal(labels[0, -1], TOKENS[11])


def test_crops_are_prefixes_of_two_or_more():
    rows = [{"items": np.arange(8)}] * 600
    batch = collate(rows, ratios={"last": 0.0}, crop_probability=0.5)
    inputs, labels, attention = by_item(batch)
    lengths = attention[:, :, 0].sum(1)
    assert set(lengths.tolist()) == set(range(2, 9))
    # Half are left alone; a prefix of all eight is a crop too.
    assert (lengths < 8).float().mean() == pytest.approx(0.5 * 6 / 7, abs=0.06)
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(inputs[row, : length - 1], TOKENS[: length - 1])
        assert torch.equal(labels[row, length - 1], TOKENS[length - 1])


def test_a_pair_is_never_cropped():
    batch = collate([{"items": np.arange(2)}] * 50, ratios={"last": 0.0}, crop_probability=1.0)
    assert batch["attention_mask"].all()


def test_domains_pass_through():
    rows = [{"items": np.arange(3), "domain": number} for number in (1, 0)]
    assert collate(rows)["domain_ids"].tolist() == [1, 0]
    assert "domain_ids" not in collate(rows_of(3))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ratios": {"middle": 0.1}}, "masks must name some of"),
        ({"ratios": {}}, "masks must name some of"),
        ({"ratios": {"span": 0.0}}, r"'span' must lie in \(0, 1\), got 0"),
        ({"ratios": {"tail": 1.0}}, "'tail' must lie in"),
        ({"weights": {"span": 1.0}}, "a share for each of"),
        ({"ratios": {"tail": 0.1}, "weights": {"tail": 0.0}}, "a share for each of"),
        ({"ratios": {"tail": 0.1}, "weights": {"tail": -1.0}}, "a share for each of"),
        ({"combination": "both"}, "'one' or 'union'"),
    ],
)
def test_it_refuses(fields, message):
    with pytest.raises(QBert4RecError, match=message):
        DataCollatorForMultiMask(TOKENS, **fields)
