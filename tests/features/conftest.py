"""A small shop with pictures, and tiny text models in folders."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from qbert4rec_hf.data.domain import Domain

# Makes `encoder_laws` importable.
sys.path.insert(0, str(Path(__file__).parent))

WORDS = ["garden", "hose", "steel", "brass", "long", "short", "lamp", "desk", "oak", "red"]
WORDS += ["blue", "kettle", "pan", "grill"]


def make_items(num_items: int, *, with_images: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "item_id": [f"I{row}" for row in range(num_items)],
            "title": [" ".join(rng.choice(WORDS, 3)) for _ in range(num_items)],
            "text": [
                [" ".join(rng.choice(WORDS, int(rng.integers(1, 12))))] for _ in range(num_items)
            ],
            "images": [
                [f"images/{row}_{view}.png" for view in range(1 + row % 2)] if with_images else []
                for row in range(num_items)
            ],
            "brand": [["Amber", "Birch", None][row % 3] for row in range(num_items)],
            "price": [1.5 + row for row in range(num_items)],
        }
    )


def make_domain(folder, num_items: int = 12, *, name: str = "shop") -> Domain:
    rng = np.random.default_rng(3)
    items = make_items(num_items)
    # Row 0 has no text at all, row 1 no picture.
    items.at[0, "title"], items.at[0, "text"], items.at[0, "brand"] = None, [], None
    items.at[1, "images"] = []
    for images in items["images"]:
        for image in images:
            path = folder / image
            path.parent.mkdir(parents=True, exist_ok=True)
            color = tuple(int(value) for value in rng.integers(0, 256, 3))
            picture = Image.new("RGB", (40, 30), "white")
            picture.paste(
                Image.new("RGB", (20, 15), color), tuple(map(int, rng.integers(0, 15, 2)))
            )
            picture.save(path)
    users = [f"u{row // 4}" for row in range(40)]
    bought = [f"I{row}" for row in rng.integers(0, num_items, 40)]
    interactions = pd.DataFrame({"user_id": users, "item_id": bought, "timestamp": range(40)})
    domain = Domain.from_tables(items, interactions, name=name, path=folder)
    domain.save(folder / "saved")
    return Domain.load(folder / "saved")


@pytest.fixture(scope="session")
def shared_domain(tmp_path_factory) -> Domain:
    """A shop of 12 items; not to be changed."""
    return make_domain(tmp_path_factory.mktemp("domain"))


@pytest.fixture
def domain(tmp_path) -> Domain:
    """The same shop in a folder of its own."""
    return make_domain(tmp_path / "domain")


def _save_tokenizer(folder, *, pad_token, closed=False):
    """A tokenizer of whole words; a `closed` one puts <s> before and </s> behind a text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<unk>", "<pad>", "</s>", *WORDS, "<s>"])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    if closed:
        ends = [(word, vocabulary[word]) for word in ("<s>", "</s>")]
        tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        eos_token="</s>",
        pad_token=pad_token,
        # Padding on the left is what many decoders come with.
        padding_side="left",
    ).save_pretrained(folder)
    return len(vocabulary)


# Sizes of a tiny model, as most configurations name them.
_TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "initializer_range": 0.5,
}


def _save_model(folder, kind, *, pad_token="<pad>", closed=False, **settings):
    """A text model of transformers with random weights, and its tokenizer."""
    import torch
    import transformers

    torch.manual_seed(0)
    size = _save_tokenizer(folder, pad_token=pad_token, closed=closed)
    config = getattr(transformers, f"{kind}Config")(vocab_size=size, **settings)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    return _save_model(folder, "Bert", max_position_embeddings=10, **_TINY)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory):
    """A decoder whose tokenizer has no padding token."""
    return _save_model(tmp_path_factory.mktemp("llama"), "Llama", pad_token=None, **_TINY)


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory):
    """A model with a decoder that nobody needs, and tokens that close a text."""
    return _save_model(
        tmp_path_factory.mktemp("t5"),
        "T5",
        closed=True,
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        initializer_factor=2.0,
    )


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A tiny CLIP model with random weights in the form that `local-dir:` opens."""
    import json

    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    config = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 16,
            "layers": 1,
            "width": 16,
            "head_width": 8,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": 8,
            "vocab_size": 49408,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    }
    (folder / "tiny-clip.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / "tiny-clip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-clip")
    (folder / "model").mkdir()
    about = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "model" / "open_clip_config.json").write_text(json.dumps(about))
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model" / "open_clip_model.safetensors")
    return folder / "model"
