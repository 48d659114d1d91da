"""The tokenizer of semantic-ID strings such as `<a_2><b_3><c_1><d_6>`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from tokenizers.pre_tokenizers import Split, WhitespaceSplit
from transformers import TokenizersBackend

PAD, MASK, UNK = "[PAD]", "[MASK]", "[UNK]"
SPECIALS = (PAD, MASK, UNK)
_PIECE = re.compile(r"<([a-z]+)_(\d+)>|(\[(?:PAD|MASK|UNK)\])|\s+|(<[^<>\s]*>?|[^<\s]+)")


def level_name(level: int) -> str:
    """Letters of a level: a to z, then aa, ab and so on.

    Example:
        >>> [level_name(level) for level in (0, 3, 25, 26, 27)]
        ['a', 'd', 'z', 'aa', 'ab']
    """
    name = ""
    level += 1
    while level:
        level, letter = divmod(level - 1, 26)
        name = chr(ord("a") + letter) + name
    return name


class QBert4RecTokenizer(TokenizersBackend):
    """Tokenizes strings of semantic IDs; item ids go through `ItemCatalog.encode`.

    One token a level and code: `[PAD]` 0, `[MASK]` 1, `[UNK]` 2, then `<a_0>` and so on, level by
    level. Build one with `from_codebook_sizes`, or load one with `AutoTokenizer`.

    A string is a history: whole items of K tokens, or `[MASK]` tokens in their place. Truncation
    keeps the latest items, whole.

    Source: section 3.4, "one shared vocabulary".
    """

    model_input_names = ["input_ids", "attention_mask"]

    @classmethod
    def from_codebook_sizes(
        cls, codebook_sizes: Sequence[int], **arguments: Any
    ) -> QBert4RecTokenizer:
        """A tokenizer for codebooks of these sizes.

        Args:
            codebook_sizes: codes of each level.
            arguments: as of any tokenizer, such as `padding_side`.

        Raises:
            ValueError: no level, or a size below 1.
        """
        sizes = [int(size) for size in codebook_sizes]
        if not sizes or min(sizes) < 1:
            raise ValueError(f"codebook_sizes must be positive numbers, got {sizes}")
        tokens = [*SPECIALS]
        for level, size in enumerate(sizes):
            tokens += [f"<{level_name(level)}_{code}>" for code in range(size)]
        backend = Tokenizer(
            WordLevel({token: number for number, token in enumerate(tokens)}, unk_token=UNK)
        )
        backend.pre_tokenizer = PreTokenizers(
            [WhitespaceSplit(), Split(">", "merged_with_previous")]
        )
        backend.decoder = Fuse()
        return cls(
            tokenizer_object=backend,
            pad_token=PAD,
            mask_token=MASK,
            unk_token=UNK,
            codebook_sizes=sizes,
            **{"truncation_side": "left", **arguments},
        )

    @property
    def codebook_sizes(self) -> list[int]:
        """Codes of each level."""
        return list(self.init_kwargs["codebook_sizes"])

    @property
    def num_levels(self) -> int:
        """K, the tokens of one item."""
        return len(self.init_kwargs["codebook_sizes"])

    @property
    def level_offsets(self) -> list[int]:
        """Token id of code 0 of each level."""
        sizes = [len(SPECIALS), *self.codebook_sizes[:-1]]
        return np.cumsum(sizes).tolist()

    def __call__(
        self,
        text: str | Sequence[str] | None = None,
        *arguments: Any,
        malformed: Literal["error", "unk"] = "error",
        **keywords: Any,
    ):
        """Encodes one history or a batch, as any tokenizer does.

        Args:
            text: strings of semantic IDs, oldest item first.
            malformed: `"error"` stops at a token that does not exist, a level out of order or an
                incomplete item; `"unk"` lets what does not exist become `[UNK]`.
            arguments, keywords: as of any tokenizer: `padding`, `truncation`, `max_length`,
                `return_tensors` and so on. `max_length` is rounded down to whole items.

        Raises:
            ValueError: malformed text, with the token and its place.
        """
        if malformed not in ("error", "unk"):
            raise ValueError(f"malformed must be 'error' or 'unk', got {malformed!r}")
        if malformed == "error":
            for row, line in enumerate([text] if isinstance(text, str) else text or []):
                if isinstance(line, str):
                    self._check(line, "text" if isinstance(text, str) else f"text row {row}")
        if keywords.get("max_length") is not None:
            whole = keywords["max_length"] - keywords["max_length"] % self.num_levels
            if whole < self.num_levels:
                raise ValueError(
                    f"max_length {keywords['max_length']} is shorter than one item of "
                    f"{self.num_levels} tokens"
                )
            keywords["max_length"] = whole
        return super().__call__(text, *arguments, **keywords)

    def encode_codes(self, codes: Any) -> np.ndarray:
        """Token ids of integer codes, the same as those of the text.

        Args:
            codes: `[..., levels]`.

        Returns:
            The same shape, int64.

        Raises:
            ValueError: a code outside its codebook.
        """
        codes = np.asarray(codes, dtype=np.int64)
        sizes = np.asarray(self.codebook_sizes)
        if codes.shape[-1:] != sizes.shape or ((codes < 0) | (codes >= sizes)).any():
            raise ValueError(f"codes must be [..., {len(sizes)}] within codebooks {sizes.tolist()}")
        return codes + np.asarray(self.level_offsets)

    def _check(self, text: str, where: str) -> None:
        levels = {level_name(level): level for level in range(self.num_levels)}
        place = 0
        for match in _PIECE.finditer(text):
            name, code, special, other = match.groups()
            if name is None and special is None and other is None:
                continue
            expected = place % self.num_levels
            if name is not None:
                token = match.group()
                if name not in levels or int(code) >= self.codebook_sizes[levels[name]]:
                    raise ValueError(
                        f"{where}: token {token} at position {place} is not in the vocabulary of "
                        f"codebooks {self.codebook_sizes}; pass malformed='unk' to read it as {UNK}"
                    )
                if levels[name] != expected:
                    raise ValueError(
                        f"{where}: token {token} at position {place} stands where a token of level "
                        f"{level_name(expected)!r} is due; an item is its levels in order"
                    )
            elif other is not None:
                raise ValueError(
                    f"{where}: {other!r} at position {place} is no semantic-ID token such as <a_2>"
                )
            place += 1
        if place % self.num_levels:
            raise ValueError(
                f"{where}: the last item is incomplete, {place % self.num_levels} of "
                f"{self.num_levels} tokens"
            )


QBert4RecTokenizer.register_for_auto_class()
