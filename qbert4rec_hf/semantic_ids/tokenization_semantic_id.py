"""The tokenizer of semantic-ID strings such as `<a_2><b_3><c_1><d_6>`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from tokenizers.pre_tokenizers import Split, WhitespaceSplit

try:
    from transformers import BatchEncoding, TokenizersBackend
except ImportError as error:
    # In a repository of the Hub this file stands without its package, which checks versions.
    raise ImportError(
        "this tokenizer needs transformers 5.20 or newer; run pip install -U 'transformers>=5.20'"
    ) from error

PAD, MASK, UNK = "[PAD]", "[MASK]", "[UNK]"
SPECIALS = (PAD, MASK, UNK)
_PIECE = re.compile(r"\[(?:PAD|MASK|UNK)\]|<[^<>\s]*>?|[^<\s]+?(?=<|\s|$|\[(?:PAD|MASK|UNK)\])")
# Level of the special tokens, which stand in the place of any.
_ANY_LEVEL = -1
_LEVEL = re.compile(r"<([a-z]+)_")


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


def semantic_id_text(codes: Sequence[int]) -> str:
    """Codes of the first levels as tokens.

    Example:
        >>> semantic_id_text([2, 3])
        '<a_2><b_3>'
    """
    return "".join(f"<{level_name(level)}_{code}>" for level, code in enumerate(codes))


class QBert4RecTokenizer(TokenizersBackend):
    """Tokenizes strings of semantic IDs; item ids go through `ItemCatalog.encode`.

    One token a level and code: `[PAD]` 0, `[MASK]` 1, `[UNK]` 2, then `<a_0>` and so on, level by
    level. Build one with `from_codebook_sizes`, or load one with `AutoTokenizer`.

    A string is a history, the oldest item first: whole items of K tokens, with special tokens in
    the place of any. Truncation keeps the latest items and never cuts one. What is malformed (a
    token that does not exist, a level out of order, an incomplete item) is an error, or, with
    `malformed="unk"`, becomes `[UNK]` in such a way that items stay K tokens long: an unknown token
    one, a missing level one.

    There is no `__init__`, so that an edited `tokenizer.json` is honoured when it is loaded.

    Source: section 3.4, "one shared vocabulary".

    Example:
        >>> from qbert4rec_hf import QBert4RecTokenizer
        >>> tokenizer = QBert4RecTokenizer.from_codebook_sizes([4, 4])
        >>> tokenizer("<a_0><b_0> <a_3><b_2>")["input_ids"]
        [3, 7, 6, 9]
        >>> tokenizer.decode([3, 7, 6, 9])
        '<a_0><b_0><a_3><b_2>'
    """

    model_input_names = ["input_ids", "attention_mask"]

    @classmethod
    def from_codebook_sizes(
        cls, codebook_sizes: Sequence[int], **arguments: Any
    ) -> QBert4RecTokenizer:
        """A tokenizer for codebooks of these sizes.

        Args:
            codebook_sizes: codes of each level.
            arguments: as of any tokenizer, such as `padding_side` or `model_max_length`; also
                `malformed`, the default of calls. All are saved with the tokenizer.

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

    def _encode_plus(
        self,
        text: str | Sequence[str] | Sequence[Sequence[str]],
        text_pair: Any = None,
        *,
        malformed: Literal["error", "unk"] | None = None,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        is_split_into_words: bool = False,
        **arguments: Any,
    ) -> BatchEncoding:
        """Encodes one history or a batch; all calls that encode text end here.

        Args:
            text: strings of semantic IDs.
            text_pair: not supported: a history is one sequence.
            malformed: `"error"` or `"unk"`, see the class.
            max_length: tokens to keep and to pad to; rounded down to whole items.
            pad_to_multiple_of: a multiple of K.
            is_split_into_words: `text` holds lists of items instead of strings.
            arguments: as of any tokenizer.

        Raises:
            ValueError: malformed text, with the token and its position; a length that leaves no
                whole item.
        """
        levels = self.num_levels
        malformed = malformed or self.init_kwargs.get("malformed", "error")
        if malformed not in ("error", "unk"):
            raise ValueError(f"malformed must be 'error' or 'unk', got {malformed!r}")
        if text_pair is not None:
            raise ValueError("a history is one sequence; put both parts into one text")
        if is_split_into_words:
            batched = bool(text) and not isinstance(text[0], str)
            text = [" ".join(items) for items in text] if batched else " ".join(text)
        if isinstance(text, str):
            text = self._well_formed(text, malformed, "text")
        elif isinstance(text, list | tuple) and all(isinstance(line, str) for line in text):
            text = [
                self._well_formed(line, malformed, f"text row {row}")
                for row, line in enumerate(text)
            ]
        else:
            raise ValueError(
                "text must be a string of semantic IDs or a list of such strings, got "
                f"{type(text).__name__}; integer codes go through encode_codes"
            )
        if max_length is not None:
            if max_length < levels:
                raise ValueError(
                    f"max_length {max_length} is shorter than one item of {levels} tokens"
                )
            max_length -= max_length % levels
        if pad_to_multiple_of is not None and pad_to_multiple_of % levels:
            raise ValueError(
                f"pad_to_multiple_of must be a multiple of the {levels} tokens of an item, got "
                f"{pad_to_multiple_of}"
            )
        return super()._encode_plus(
            text,
            max_length=max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            **arguments,
        )

    def save_pretrained(self, *arguments: Any, **keywords: Any) -> tuple[str, ...]:
        """As in transformers; the files are the same, however the tokenizer was made or loaded."""
        for name in ("is_local", "local_files_only"):
            self.init_kwargs.pop(name, None)
        return super().save_pretrained(*arguments, **keywords)

    def _save_pretrained(self, *arguments: Any, **keywords: Any) -> tuple[str, ...]:
        # The last call leaves its truncation and padding in the backend, and a file with them would
        # change the defaults of whoever loads it.
        self.backend_tokenizer.no_truncation()
        self.backend_tokenizer.no_padding()
        return super()._save_pretrained(*arguments, **keywords)

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

    def _well_formed(self, text: str, malformed: str, where: str) -> str:
        pieces = _PIECE.findall(text)
        if malformed == "unk":
            return self._repaired(pieces)
        self._check(pieces, where)
        return text

    def _check(self, pieces: list[str], where: str) -> None:
        levels, count = self._level_of, self.num_levels
        for position, token in enumerate(pieces):
            level = levels.get(token)
            if level is None:
                raise ValueError(
                    f"{where}: {token!r} at position {position} is not in the vocabulary of "
                    f"codebooks {self.codebook_sizes}; pass malformed='unk' to read it as {UNK}"
                )
            if level not in (position % count, _ANY_LEVEL):
                raise ValueError(
                    f"{where}: {token!r} at position {position} stands where a token of level "
                    f"{level_name(position % count)!r} is due; an item is its levels in order"
                )
        incomplete = len(pieces) % count
        if incomplete:
            raise ValueError(
                f"{where}: the last item is incomplete, {incomplete} of {count} tokens from "
                f"{pieces[-incomplete]!r} at position {len(pieces) - incomplete}; complete it, or "
                f"pass malformed='unk' to fill it up with {UNK}"
            )

    def _repaired(self, pieces: list[str]) -> str:
        """Whole items, with `[UNK]` for what does not exist and for levels that are missing."""
        levels, count = self._level_of, self.num_levels
        names = {level_name(level): level for level in range(count)}
        tokens: list[str] = []
        for token in pieces:
            level = levels.get(token)
            if level is None:
                # A code beyond its codebook still tells the level.
                prefix = _LEVEL.match(token)
                level = names.get(prefix.group(1), _ANY_LEVEL) if prefix else _ANY_LEVEL
                token = UNK
            if level != _ANY_LEVEL:
                # After a level that is as high or higher, a new item begins.
                tokens += [UNK] * ((level - len(tokens)) % count)
            tokens.append(token)
        return "".join(tokens + [UNK] * (-len(tokens) % count))

    @cached_property
    def _level_of(self) -> dict[str, int]:
        levels = dict.fromkeys(SPECIALS, _ANY_LEVEL)
        for level, size in enumerate(self.codebook_sizes):
            levels.update({f"<{level_name(level)}_{code}>": level for code in range(size)})
        return levels


QBert4RecTokenizer.register_for_auto_class()
