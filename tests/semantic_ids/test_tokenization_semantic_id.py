"""The tokenizer: text and integer codes agree, items stay whole, malformed text is named."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from tiny_sequence import NUM_ITEMS, distinct_codes, make_model
from tiny_sequence import SIZES as TINY_SIZES
from transformers import AutoTokenizer, pipeline

from qbert4rec_hf import QBert4RecConfig, QBert4RecTokenizer
from qbert4rec_hf.semantic_ids.tokenization_semantic_id import level_name

SIZES = [5, 3, 4]
K = len(SIZES)
A, B = "<a_1><b_0><c_3>", "<a_4><b_2><c_0>"


@pytest.fixture(scope="module")
def tokenizer() -> QBert4RecTokenizer:
    return QBert4RecTokenizer.from_codebook_sizes(SIZES)


def text_of(codes: np.ndarray) -> str:
    return "".join(
        f"<{level_name(level)}_{code}>" for of_item in codes for level, code in enumerate(of_item)
    )


def test_vocabulary(tokenizer):
    tokens = ["[PAD]", "[MASK]", "[UNK]"]
    tokens += [
        f"<{name}_{c}>" for name, size in zip("abc", SIZES, strict=True) for c in range(size)
    ]
    assert tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))) == tokens
    assert tokenizer.vocab_size == len(tokenizer) == 3 + sum(SIZES)
    ids = tokenizer.pad_token_id, tokenizer.mask_token_id, tokenizer.unk_token_id
    assert ids == (0, 1, 2)
    assert tokenizer.is_fast
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    assert tokenizer.codebook_sizes == SIZES and tokenizer.level_offsets == [3, 8, 11]


def test_the_same_number_on_two_levels_is_two_tokens(tokenizer):
    assert len(set(tokenizer("<a_2><b_2><c_2>")["input_ids"])) == 3


def test_level_names():
    names = [level_name(level) for level in (0, 25, 26, 27, 51, 52, 701, 702)]
    assert names == ["a", "z", "aa", "ab", "az", "ba", "zz", "aaa"]


@pytest.mark.parametrize("sizes", [[5, 3, 4], [256] * 4, [512, 1000], [2] * 30, [7]])
def test_text_and_integers_agree(sizes):
    tokenizer = QBert4RecTokenizer.from_codebook_sizes(sizes)
    codes = np.random.default_rng(0).integers(0, sizes, size=(9, len(sizes)))
    ids = tokenizer(text_of(codes))["input_ids"]
    assert ids == tokenizer.encode_codes(codes).reshape(-1).tolist()
    assert tokenizer.decode(ids) == text_of(codes)
    assert tokenizer.encode(text_of(codes)) == ids
    assert max(ids) < len(tokenizer)


def test_the_config_numbers_tokens_alike(tokenizer):
    config = QBert4RecConfig(codebook_sizes=SIZES)
    assert config.level_offsets == tokenizer.level_offsets
    assert config.vocab_size == len(tokenizer)
    assert config.pad_token_id == tokenizer.pad_token_id
    assert config.mask_token_id == tokenizer.mask_token_id


@pytest.mark.parametrize("codes", [[[5, 0, 0]], [[0, -1, 0]], [0, 0], [[0, 0, 0, 0]]])
def test_integer_codes_out_of_range(tokenizer, codes):
    with pytest.raises(ValueError, match=r"codebooks \[5, 3, 4\]"):
        tokenizer.encode_codes(codes)


def test_white_space_and_specials(tokenizer):
    assert tokenizer(f" {A}\n{B} ")["input_ids"] == tokenizer(A + B)["input_ids"]
    assert tokenizer(A + "[MASK]" * K)["input_ids"][-K:] == [1] * K
    assert tokenizer("<a_1>[MASK]<c_3>")["input_ids"] == [4, 1, 14]
    assert tokenizer("")["input_ids"] == []
    assert tokenizer.decode([0, 4, 8, 14, 1], skip_special_tokens=True) == A


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side(tokenizer, side):
    batch = tokenizer([A, A + B], padding=True, padding_side=side, return_tensors="np")
    short, long = tokenizer(A)["input_ids"], tokenizer(A + B)["input_ids"]
    padded = [0] * K + short if side == "left" else short + [0] * K
    assert batch["input_ids"].tolist() == [padded, long]
    assert batch["attention_mask"].tolist() == [[int(i > 0) for i in padded], [1] * 2 * K]
    assert set(batch) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize("max_length", [3, 4, 5, 6, 8])
def test_truncation_keeps_the_latest_items_whole(tokenizer, max_length):
    kept = max_length // K
    expected = tokenizer((A + B + A)[-kept * len(A) :])["input_ids"]
    assert tokenizer(A + B + A, truncation=True, max_length=max_length)["input_ids"] == expected
    assert tokenizer.encode(A + B + A, truncation=True, max_length=max_length) == expected
    padded = tokenizer(A, padding="max_length", max_length=max_length)["input_ids"]
    assert len(padded) == kept * K


def test_model_max_length_counts_too():
    tokenizer = QBert4RecTokenizer.from_codebook_sizes(SIZES, model_max_length=7)
    assert tokenizer(A + A + B, truncation=True)["input_ids"] == tokenizer(A + B)["input_ids"]


def test_lengths_that_would_cut_an_item(tokenizer):
    with pytest.raises(ValueError, match="max_length 2 is shorter than one item of 3"):
        tokenizer(A, truncation=True, max_length=2)
    with pytest.raises(ValueError, match="pad_to_multiple_of must be a multiple of the 3"):
        tokenizer(A, padding=True, pad_to_multiple_of=8)
    assert len(tokenizer(A, padding=True, pad_to_multiple_of=12)["input_ids"]) == 12


MALFORMED = [
    # text, message, tokens when [UNK] is asked for
    ("<a_999><b_0><c_0>", "'<a_999>' at position 0 is not in the vocabulary", "[UNK]<b_0><c_0>"),
    (A + "<a_01><b_0><c_0>", "'<a_01>' at position 3", A + "[UNK]<b_0><c_0>"),
    (A + "<d_0>", "'<d_0>' at position 3 is not in", A + "[UNK]" * 3),
    ("<b_0><a_1><c_0>", "'<b_0>' at position 0 .* level 'a'", None),
    (A + "<a_1><c_0>", "'<c_0>' at position 4 .* level 'b'", A + "<a_1>[UNK]<c_0>"),
    (A + "<a_1><a_2><b_1><c_1>", "'<a_2>' at position 4", A + "<a_1>[UNK][UNK]<a_2><b_1><c_1>"),
    (A + "<a_1><b_2>", "incomplete, 2 of 3 tokens from '<a_1>' at position 3", None),
    ("B00ABC", "'B00ABC' at position 0", "[UNK]" * 3),
    ("[CLS]" + A, r"'\[CLS\]' at position 0", "[UNK]" * 3 + A),
    ("<a_1", "'<a_1' at position 0", "[UNK]" * 3),
    ("<a_٣><b_0><c_0>", "'<a_٣>' at position 0", "[UNK]<b_0><c_0>"),
    (A + "x" + A, "'x' at position 3", A + "[UNK]" * 3 + A),
]


@pytest.mark.parametrize(("text", "message", "repaired"), MALFORMED)
def test_malformed_text(tokenizer, text, message, repaired):
    for call in (tokenizer, tokenizer.encode, tokenizer.tokenize):
        with pytest.raises(ValueError, match=message):
            call(text)
    with pytest.raises(ValueError, match=f"text row 1: .*{message}"):
        tokenizer([A, text])
    ids = tokenizer(text, malformed="unk")["input_ids"]
    assert len(ids) % K == 0 and tokenizer.unk_token_id in ids
    if repaired is not None:
        assert tokenizer.decode(ids) == repaired
    # What comes out is in the form that a model takes, level by level.
    for position, token in enumerate(ids):
        start = tokenizer.level_offsets[position % K]
        assert token < 3 or start <= token < start + SIZES[position % K]


def test_unk_may_be_the_tokenizers_own_default(tmp_path):
    tokenizer = QBert4RecTokenizer.from_codebook_sizes(SIZES, malformed="unk")
    tokenizer.save_pretrained(tmp_path)
    loaded = QBert4RecTokenizer.from_pretrained(tmp_path)
    assert loaded("<a_9><b_0><c_0>")["input_ids"] == [2, 8, 11]
    with pytest.raises(ValueError, match="not in the vocabulary"):
        loaded("<a_9><b_0><c_0>", malformed="error")


def test_other_bad_arguments(tokenizer):
    with pytest.raises(ValueError, match="'error' or 'unk', got 'skip'"):
        tokenizer(A, malformed="skip")
    with pytest.raises(ValueError, match="one sequence"):
        tokenizer(A, B)
    with pytest.raises(ValueError, match="encode_codes"):
        tokenizer([1, 0, 3])
    for sizes in ([], [3, 0]):
        with pytest.raises(ValueError, match="codebook_sizes"):
            QBert4RecTokenizer.from_codebook_sizes(sizes)


def test_lists_of_items(tokenizer):
    one = tokenizer([A, B], is_split_into_words=True)["input_ids"]
    assert one == tokenizer(A + B)["input_ids"]
    assert tokenizer([[A, B], [B]], is_split_into_words=True)["input_ids"] == [one, one[K:]]


def same(loaded, tokenizer) -> bool:
    return (
        loaded([A, A + B], padding=True, truncation=True, max_length=5)
        == tokenizer([A, A + B], padding=True, truncation=True, max_length=5)
        and loaded.get_vocab() == tokenizer.get_vocab()
        and loaded.codebook_sizes == tokenizer.codebook_sizes
        and loaded.truncation_side == tokenizer.truncation_side == "left"
        and loaded.mask_token == tokenizer.mask_token
    )


def test_pickled(tokenizer):
    assert same(pickle.loads(pickle.dumps(tokenizer)), tokenizer)


def test_saved_and_loaded(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    assert same(QBert4RecTokenizer.from_pretrained(tmp_path), tokenizer)
    QBert4RecConfig(codebook_sizes=SIZES).save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert type(loaded).__name__ == "QBert4RecTokenizer" and same(loaded, tokenizer)
    loaded.save_pretrained(tmp_path / "again")
    assert same(AutoTokenizer.from_pretrained(tmp_path / "again"), tokenizer)


def test_an_edited_file_is_honoured(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    content["decoder"] = None
    path.write_text(json.dumps(content))
    loaded = QBert4RecTokenizer.from_pretrained(tmp_path)
    assert loaded.decode([4, 8, 14]) == "<a_1> <b_0> <c_3>"


def test_loads_as_remote_code_without_the_package(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "model")
    # An installed package would be found from anywhere, so it is hidden.
    program = f"""
import sys

class Hide:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "qbert4rec_hf":
            raise ImportError(name)

sys.meta_path.insert(0, Hide())
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({str(tmp_path / "model")!r}, trust_remote_code=True)
assert "qbert4rec_hf" not in sys.modules
assert tokenizer({A + B!r})["input_ids"] == {tokenizer(A + B)["input_ids"]}
assert tokenizer.encode_codes([1, 0, 3]).tolist() == [4, 8, 14]
try:
    tokenizer("<a_999>")
except ValueError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
    )
    assert "'<a_999>' at position 0" in result.stdout, result.stderr


def test_a_call_leaves_no_trace_in_the_file(tmp_path):
    tokenizer = QBert4RecTokenizer.from_codebook_sizes(SIZES)
    tokenizer.save_pretrained(tmp_path / "before")
    tokenizer(A + B, truncation=True, max_length=K, padding="max_length", padding_side="left")
    tokenizer.save_pretrained(tmp_path / "after")
    for path in (tmp_path / "before").iterdir():
        assert (tmp_path / "after" / path.name).read_bytes() == path.read_bytes(), path.name
    loaded = QBert4RecTokenizer.from_pretrained(tmp_path / "after")
    assert loaded.padding_side == "right" and len(loaded(A + B)["input_ids"]) == 2 * K


def test_the_fill_mask_pipeline():
    codes = distinct_codes(NUM_ITEMS)
    fill = pipeline(
        "fill-mask",
        model=make_model(codes),
        tokenizer=QBert4RecTokenizer.from_codebook_sizes(TINY_SIZES),
    )
    item = "<a_1><b_2><c_3>"
    masked = item + "[MASK]" * K
    by_level = fill(masked, top_k=2)
    assert [len(found) for found in by_level] == [2] * K
    for level, found in zip("abc", by_level, strict=True):
        assert all(guess["token_str"].startswith(f"<{level}_") for guess in found)
    # Batches of unequal length are padded; that changes nothing.
    batch = fill([masked, item + masked], top_k=2, batch_size=2)
    for alone, padded in zip(by_level, batch[0], strict=True):
        assert [guess["token"] for guess in alone] == [guess["token"] for guess in padded]
    long = fill(item * 9 + masked, tokenizer_kwargs={"truncation": True, "max_length": 2 * K})
    assert long[0][0]["sequence"].startswith(item)
    one = fill(item + "<a_1>[MASK]<c_0>", targets=["<b_0>", "<b_3>"])
    assert {guess["token_str"] for guess in one} == {"<b_0>", "<b_3>"}
    assert one[0]["sequence"].startswith(item + "<a_1><b_")
    with pytest.raises(ValueError, match="'<b_99>' at position 0 is not in the vocabulary"):
        fill(item + "<a_1>[MASK]<c_0>", targets=["<b_99>"])
