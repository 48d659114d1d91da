"""Configuration of the sequence model (stage 3)."""

# No `from __future__ import annotations` here: `@strict` cannot check types that are strings.
from typing import Any, Literal

try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    # In a repository of the Hub this file stands without its package, which checks versions.
    raise ImportError(
        "this model needs transformers 5.20 or newer; run pip install -U 'transformers>=5.20'"
    ) from error
from transformers.activations import ACT2FN

NUM_SPECIAL_TOKENS = 3
FORMAT_VERSION = 1


@strict
class QBert4RecConfig(PreTrainedConfig):
    """Sizes and choices of [`QBert4RecModel`] and [`QBert4RecForMaskedLM`].

    The defaults are the paper's sizes (section 4.1: 4 layers, 4 heads, dropout 0.2; Table 6 implies
    50 positions). Where the paper is silent the value says why.

    Args:
        codebook_sizes (`list[int]`, defaults to `[256, 256, 256, 256]`):
            Codes of each level of a semantic ID. Their number is K, the tokens an item.
        num_items (`list[int]`, defaults to `[]`):
            Items of the catalogue, one size a domain; items of a domain are contiguous. Sizes the
            buffer `catalog_codes` and the item bias. Changed by `model.set_catalog`, never by hand.
        catalog_fingerprint (`str`, *optional*):
            Fingerprint of the codes that `set_catalog` stored, compared with the catalogue file
            when a model folder is opened.
        vocab_size (`int`, *optional*):
            Derived: three special tokens and the sum of `codebook_sizes`.
        hidden_size (`int`, defaults to 256): Width of the encoder; the paper is silent.
        num_hidden_layers (`int`, defaults to 4): Encoder layers.
        num_attention_heads (`int`, defaults to 4): Attention heads a layer.
        intermediate_size (`int`, *optional*): Width of the feed-forward part; 4 x `hidden_size`.
        hidden_act (`str`, defaults to `"gelu"`): Activation of feed-forward part and head.
        hidden_dropout_prob (`float`, defaults to 0.2): Dropout on embeddings and layer outputs.
        attention_probs_dropout_prob (`float`, defaults to 0.2): Dropout on attention weights.
        initializer_range (`float`, defaults to 0.02):
            Standard deviation of initial embeddings. Linear layers start at 1 / sqrt(inputs).
        layer_norm_eps (`float`, defaults to 1e-6): Epsilon of the layer norms.
        max_items (`int`, defaults to 50):
            The longest history in items. One further position is kept for the next-item query.
        item_encoding (`"grouped"` or `"tokens"`, defaults to `"grouped"`):
            `"grouped"` adds an item's K token embeddings into one position, so that the encoder
            runs on T positions; `"tokens"` is the plain encoding on K·T positions.
        objective (`"catalog"` or `"codes"`, defaults to `"catalog"`):
            `"codes"` is eq. 11 as K cross-entropies; `"catalog"` normalises over the items that
            exist, which puts no mass on code tuples that no item has.
        item_bias (`bool`, defaults to `True`):
            One learned number an item, added to its logit. The only term that tells items apart
            that share an imported semantic ID.
        item_embeddings (`bool`, defaults to `False`):
            One learned vector an item beside its codes, added where the item is read and where it
            is predicted; needs the `"catalog"` objective. Items that share a semantic ID share it
            too. It says of single items what codes cannot, and nothing of new ones, for which it
            is zero.
        num_sampled_items (`int`, *optional*):
            With `"catalog"`: normalise over the batch's targets and this many items drawn at
            random instead of the whole catalogue. For catalogues of several 100,000 items.
        ranking_temperature (`float`, defaults to 1.0):
            Logits are divided by it when the catalogue is ranked (`score_items`), not in the loss.
            It changes no order, but how sure the model sounds beside an item graph. Chosen on
            validation.
        tie_word_embeddings (`bool`, defaults to `True`): Head and embeddings share their weights.
        pad_token_id, mask_token_id, unk_token_id (`int`): as in the tokenizer, whose three special
            tokens come first: 0, 1 and 2.
        format_version (`int`, defaults to 1):
            Version of what these fields mean; a later one than this code knows is refused.

    Example:
        >>> from qbert4rec_hf import QBert4RecConfig
        >>> config = QBert4RecConfig(codebook_sizes=[64, 64, 64], hidden_size=128)
        >>> config.num_levels, config.vocab_size
        (3, 195)
    """

    model_type = "qbert4rec"
    keys_to_ignore_at_inference = ("hidden_states", "attentions")

    codebook_sizes: list[int] | None = None
    num_items: list[int] | None = None
    catalog_fingerprint: str | None = None
    vocab_size: int | None = None
    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int | None = None
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.2
    attention_probs_dropout_prob: float | int = 0.2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-6
    max_items: int = 50
    item_encoding: Literal["grouped", "tokens"] = "grouped"
    objective: Literal["catalog", "codes"] = "catalog"
    item_bias: bool = True
    item_embeddings: bool = False
    num_sampled_items: int | None = None
    ranking_temperature: float | int = 1.0
    tie_word_embeddings: bool = True
    pad_token_id: int = 0
    mask_token_id: int = 1
    unk_token_id: int = 2
    format_version: int = FORMAT_VERSION

    def __post_init__(self, **kwargs: Any) -> None:
        if self.codebook_sizes is None:
            self.codebook_sizes = [256, 256, 256, 256]
        if self.num_items is None:
            self.num_items = []
        if self.intermediate_size is None:
            self.intermediate_size = 4 * self.hidden_size
        vocab_size = NUM_SPECIAL_TOKENS + sum(self.codebook_sizes)
        if self.vocab_size not in (None, vocab_size):
            raise ValueError(
                f"vocab_size is {self.vocab_size}, but codebook_sizes {self.codebook_sizes} and "
                f"{NUM_SPECIAL_TOKENS} special tokens make {vocab_size}; leave vocab_size out"
            )
        self.vocab_size = vocab_size
        if not __name__.startswith("transformers_modules."):
            # In the package the pipelines are its own. Those that a folder carries are for machines
            # without it, and naming them here would ask the user to trust the folder's code.
            kwargs.pop("custom_pipelines", None)
        super().__post_init__(**kwargs)

    def validate_format_version(self) -> None:
        """Refuses what a later version of this code wrote: it may mean something else."""
        if self.format_version > FORMAT_VERSION:
            raise ValueError(
                f"format_version {self.format_version} is later than this code reads "
                f"({FORMAT_VERSION}); update qbert4rec_hf"
            )

    def validate_architecture(self) -> None:
        """Rules across fields; called by `@strict`."""
        if not self.codebook_sizes or min(self.codebook_sizes) < 1:
            raise ValueError(f"codebook_sizes must be positive numbers, got {self.codebook_sizes}")
        if any(size < 1 for size in self.num_items):
            raise ValueError(f"num_items must be positive numbers, got {self.num_items}")
        for name in ("hidden_size", "num_attention_heads", "intermediate_size", "max_items"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.num_hidden_layers < 0:
            raise ValueError(f"num_hidden_layers must not be negative: {self.num_hidden_layers}")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.hidden_act not in ACT2FN:
            raise ValueError(f"hidden_act {self.hidden_act!r} is no activation of transformers")
        if self.item_embeddings and self.objective != "catalog":
            raise ValueError(
                f"item_embeddings are learned by the objective 'catalog', not {self.objective!r}"
            )
        if self.num_sampled_items is not None and self.num_sampled_items < 1:
            raise ValueError(
                f"num_sampled_items must be at least 1 or None, got {self.num_sampled_items}"
            )
        if not self.ranking_temperature > 0:
            raise ValueError(f"ranking_temperature must be above 0: {self.ranking_temperature}")
        specials = (self.pad_token_id, self.mask_token_id, self.unk_token_id)
        if sorted(specials) != list(range(NUM_SPECIAL_TOKENS)):
            raise ValueError(
                "pad_token_id, mask_token_id and unk_token_id must be 0, 1 and 2 in some order, "
                f"got {specials}"
            )

    @property
    def num_levels(self) -> int:
        """K, the tokens of one item."""
        return len(self.codebook_sizes)

    @property
    def level_offsets(self) -> list[int]:
        """Token id of code 0 of each level."""
        offsets, total = [], NUM_SPECIAL_TOKENS
        for size in self.codebook_sizes:
            offsets.append(total)
            total += size
        return offsets


QBert4RecConfig.register_for_auto_class()
