"""The catalogue as state of a model: which items exist, and where each one's semantic ID leads."""

from __future__ import annotations

import hashlib
import os
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .origin_qbert4rec import QBert4RecOrigin

if TYPE_CHECKING:
    from typing import Self


# What is learned of single items, one row each.
_OF_ITEMS = ("item_bias", "item_embeddings")
# Bytes; torch's own allocations begin at a multiple of it.
_ALIGNMENT = 64


class QBert4RecCatalogMixin:
    """Codes of every item, one bias and one vector an item, for a model with a `QBert4RecConfig`.

    Mix it in before `PreTrainedModel` and call `_build_catalog` in `__init__`. The codes are a
    persistent buffer, so that they travel with the weights.
    """

    catalog_codes: torch.Tensor
    item_bias: nn.Parameter | None
    item_embeddings: nn.Parameter | None
    # Where `from_pretrained` found the model; a model that was made in memory has none.
    origin: QBert4RecOrigin | None = None

    def _build_catalog(self) -> None:
        """Makes `catalog_codes` (`[items, levels]`) and what is learned of single items.

        That is `item_bias` (`[items]`) and `item_embeddings` (`[items, hidden]`), or None each.
        """
        total = sum(self.config.num_items)
        self.register_buffer(
            "catalog_codes", torch.zeros(total, self.config.num_levels, dtype=torch.long)
        )
        self.item_bias = nn.Parameter(torch.zeros(total)) if self.config.item_bias else None
        self.item_embeddings = None
        if self.config.item_embeddings:
            self.item_embeddings = nn.Parameter(torch.zeros(total, self.config.hidden_size))
        self._prefix_trees = _Lookup()

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike, *model_args: Any, **kwargs: Any
    ) -> Self:
        """As in transformers, but never with a catalogue of arbitrary numbers.

        A folder without a catalogue (of a bare `QBert4RecModel`) gives a model without one;
        `set_catalog` follows.

        Raises:
            ValueError: `ignore_mismatched_sizes=True` and the catalogue's sizes differ.
        """
        with_info = kwargs.pop("output_loading_info", False)
        model, info = super().from_pretrained(
            pretrained_model_name_or_path, *model_args, output_loading_info=True, **kwargs
        )
        mismatched = [str(key) for key in info["mismatched_keys"]]
        for name in ("catalog_codes", *_OF_ITEMS):
            if any(name in key for key in mismatched):
                raise ValueError(
                    f"ignore_mismatched_sizes=True would leave {name} of "
                    f"{pretrained_model_name_or_path} filled with arbitrary numbers; load the "
                    "model as it is and call model.set_catalog(codes, item_map=...)"
                )
        if "catalog_codes" in info["missing_keys"] and len(model.catalog_codes):
            model._store_catalog(model.catalog_codes[:0], [], None)
        for parameter in model.parameters():
            # Weights that lie in the file itself begin anywhere, and on some processors a product's
            # last digit depends on it: the model would differ from the one that was saved.
            if parameter.device.type == "cpu" and parameter.data_ptr() % _ALIGNMENT:
                parameter.data = parameter.data.clone()
        model.origin = QBert4RecOrigin(pretrained_model_name_or_path, **kwargs)
        return (model, info) if with_info else model

    def set_catalog(
        self,
        codes: torch.Tensor,
        item_map: torch.Tensor | None = None,
        num_items: list[int] | None = None,
    ) -> None:
        """Replaces the items that the model ranks, as `resize_token_embeddings` replaces words.

        Call it before an optimizer is made: the item bias becomes a new parameter.

        Args:
            codes (`[items, levels]`): the semantic ID of every item, as codes in each codebook.
            item_map (`[items]`, *optional*): for each new item its row in the present catalogue, or
                -1. Item biases and embeddings are carried over along it; items without a row start
                at zero.
            num_items (`list[int]`, *optional*): items of each domain; one domain without it.

        Raises:
            ValueError: wrong shape, no items, codes outside their codebook, sizes that do not add
                up, or a map that points outside the present catalogue. The model is unchanged then.
        """
        device = self.catalog_codes.device
        codes = torch.as_tensor(codes, dtype=torch.long).to(device, copy=True)
        sizes = torch.tensor(self.config.codebook_sizes, device=device)
        if codes.ndim != 2 or codes.shape[1] != len(sizes):
            raise ValueError(
                f"codes must be [items, {len(sizes)}] as codebook_sizes has {len(sizes)} levels, "
                f"got {list(codes.shape)}"
            )
        outside = ((codes < 0) | (codes >= sizes)).nonzero()
        if len(outside):
            row, level = outside[0].tolist()
            raise ValueError(
                f"codes row {row}: code {codes[row, level].item()} of level {level} is outside its "
                f"codebook of {sizes[level].item()}"
            )
        num_items = [len(codes)] if num_items is None else [int(size) for size in num_items]
        if sum(num_items) != len(codes) or not num_items or min(num_items) < 1:
            raise ValueError(
                f"num_items {num_items} must be positive numbers that add up to the {len(codes)} "
                "rows of codes"
            )
        if item_map is not None:
            item_map = torch.as_tensor(item_map, dtype=torch.long).to(device)
            known = len(self.catalog_codes)
            if item_map.shape != (len(codes),):
                raise ValueError(
                    f"item_map must give a row for each of the {len(codes)} items, got shape "
                    f"{list(item_map.shape)}"
                )
            if item_map.max() >= known or item_map.min() < -1:
                raise ValueError(
                    f"item_map must hold -1 or rows of the present catalogue, 0 to {known - 1}; "
                    f"got {item_map.min()} to {item_map.max()}"
                )
        self._store_catalog(codes, num_items, item_map)

    def _store_catalog(
        self, codes: torch.Tensor, num_items: list[int], item_map: torch.Tensor | None
    ) -> None:
        for name in _OF_ITEMS:
            old = getattr(self, name)
            if old is not None:
                new = old.new_zeros(len(codes), *old.shape[1:])
                if item_map is not None:
                    known = item_map >= 0
                    new[known] = old.detach()[item_map[known]]
                setattr(self, name, nn.Parameter(new, requires_grad=old.requires_grad))
        self.catalog_codes = codes
        self.config.num_items = num_items
        self.config.catalog_fingerprint = self.fingerprint_catalog(codes) if num_items else None

    def add_item_embeddings(self) -> None:
        """Gives every item a vector of its own, as `config.item_embeddings` does from the start.

        The vectors are zero, so that nothing changes until they are trained. A model that has some
        keeps them. Call it before an optimizer is made.

        Raises:
            ValueError: the model's objective is not `"catalog"`.
        """
        if self.item_embeddings is not None:
            return
        if self.config.objective != "catalog":
            raise ValueError(
                f"item_embeddings are learned by the objective 'catalog', not by the model's "
                f"{self.config.objective!r}"
            )
        self.config.item_embeddings = True
        like = self.get_input_embeddings().weight
        shape = (len(self.catalog_codes), self.config.hidden_size)
        self.item_embeddings = nn.Parameter(like.new_zeros(shape))

    def fingerprint_catalog(self, codes: torch.Tensor | None = None) -> str:
        """16 hexadecimal digits that name codes and codebook sizes; the stored ones by default."""
        codes = self.catalog_codes if codes is None else codes
        digest = hashlib.sha256(repr(list(self.config.codebook_sizes)).encode())
        digest.update(codes.cpu().to(torch.int64).contiguous().numpy().astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def domain_slice(self, domain: int) -> slice:
        """Rows of one domain's items in the catalogue.

        Raises:
            ValueError: the catalogue has no such domain.
        """
        if not 0 <= domain < len(self.config.num_items):
            raise ValueError(
                f"the catalogue has {len(self.config.num_items)} domains, numbered from 0, and no "
                f"domain {domain}"
            )
        start = sum(self.config.num_items[:domain])
        return slice(start, start + self.config.num_items[domain])

    def _require_catalog(self) -> None:
        if not len(self.catalog_codes):
            raise ValueError(
                "the model has no catalogue yet; call model.set_catalog(codes) with the semantic "
                "IDs of the items"
            )

    def _domains(self, domain_ids: torch.Tensor | None, batch: int) -> torch.Tensor:
        """Domain of each row `[batch]`; 0 where the catalogue has no other."""
        if domain_ids is not None:
            return domain_ids
        if len(self.config.num_items) > 1:
            raise ValueError(
                f"the catalogue holds {len(self.config.num_items)} domains; give domain_ids [batch]"
            )
        return torch.zeros(batch, dtype=torch.long, device=self.device)

    def _find_items(self, codes: torch.Tensor, domain: int) -> torch.Tensor:
        """Group number in its domain of every code tuple `[rows, levels]`, -1 where none has it.

        A group is the items that share a tuple. A tuple is followed down the tree of existing
        prefixes, one sorted search a level, so the cost grows with the levels and with the
        logarithm of the catalogue.
        """
        group = codes.new_zeros(len(codes))
        found = torch.ones_like(group, dtype=torch.bool)
        for level, keys in enumerate(self._prefix_tree(domain)["keys"]):
            size = self.config.codebook_sizes[level]
            # A code outside its codebook would look like one of the neighbouring prefix.
            found &= (codes[:, level] >= 0) & (codes[:, level] < size)
            key = group * size + codes[:, level]
            group = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
            found &= keys[group] == key
        return torch.where(found, group, -1)

    def _own_vectors(
        self, input_ids: torch.Tensor, domain_ids: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Each item's own vector, `[batch, items, hidden]` of `[batch, items * levels]` tokens.

        Zero where no item stands (padding, masks, parts of items, tuples that no item has); None
        for a model without item embeddings.
        """
        if self.item_embeddings is None or not len(self.item_embeddings):
            return None
        levels = self.config.num_levels
        codes = input_ids.view(len(input_ids), -1, levels)
        codes = codes - codes.new_tensor(self.config.level_offsets)
        rows = codes.new_full(codes.shape[:2], -1)
        domains = self._domains(domain_ids, len(codes))
        for domain in range(len(self.config.num_items)):
            of_domain = domains == domain
            group = self._find_items(codes[of_domain].flatten(0, 1), domain)
            first = self._prefix_tree(domain)["first"][group] + self.domain_slice(domain).start
            rows[of_domain] = torch.where(group >= 0, first, -1).view(-1, codes.shape[1])
        vectors = nn.functional.embedding(rows.clamp(min=0), self.item_embeddings)
        return vectors * (rows >= 0)[:, :, None]

    def _domain_rows(
        self, of_items: torch.Tensor, domain: int, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The rows of a domain's items; `items` are numbers within it, all of them without."""
        rows = self.domain_slice(domain)
        if items is not None:
            return of_items[items + rows.start]
        # A slice of everything would still copy its gradient.
        return of_items if len(self.config.num_items) == 1 else of_items[rows]

    def _predicted_vectors(self, domain: int, items: torch.Tensor | None = None) -> torch.Tensor:
        """Each item's own vector where it is predicted, `[items, hidden]`.

        Items that share a semantic ID share that of the first of them, as where they are read.
        """
        tree = self._prefix_tree(domain)
        if tree["shared"]:
            owners = tree["first"][tree["group"]]
            items = owners if items is None else owners[items]
        return self._domain_rows(self.item_embeddings, domain, items)

    def _sum_of_codes(
        self, weight: torch.Tensor, domain: int, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What the tokens of each item add up to, `[items, columns]`, of `[vocab, columns]`."""
        # On a CPU gathering and scattering rows takes most of a training step. (Half precision has
        # no such product there, and a compiler or an exporter knows no sparse matrix.)
        if (
            items is None
            and weight.device.type == "cpu"
            and weight.dtype == torch.float32
            and not torch.compiler.is_compiling()
        ):
            return _SumOfRows.apply(weight, *self._code_matrices(domain))
        codes = self._domain_rows(self.catalog_codes, domain, items)
        tokens = codes + codes.new_tensor(self.config.level_offsets)
        return nn.functional.embedding(tokens, weight).sum(dim=1)

    def _code_matrices(self, domain: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Which tokens an item has, sparse `[items, vocab]`, and the transpose of it."""
        tree = self._prefix_tree(domain)
        if "matrices" not in tree:
            codes = self._domain_rows(self.catalog_codes, domain)
            tokens = (codes + codes.new_tensor(self.config.level_offsets)).flatten()
            items, levels = codes.shape
            starts = torch.arange(0, len(tokens) + 1, levels)
            by_token = tokens.argsort(stable=True)
            counts = tokens.bincount(minlength=self.config.vocab_size).cumsum(0)
            shape = (items, self.config.vocab_size)
            tree["matrices"] = (
                _sparse_ones(starts, tokens, shape),
                _sparse_ones(nn.functional.pad(counts, (1, 0)), by_token // levels, shape[::-1]),
            )
        return tree["matrices"]

    def _prefix_tree(self, domain: int) -> dict:
        """Sorted keys a level, group `[items]` of each item, and whether items share a tuple.

        `first` is an item of each group, and `item` too where no group has more than one.
        """
        if torch.compiler.is_compiling() and domain in self._prefix_trees:
            # A compiler cannot look at memory. It takes what the last call found.
            return self._prefix_trees[domain]
        # Which buffer it is and how often it was written to: both change when codes are loaded.
        buffer = self.catalog_codes
        version = (buffer.device, buffer.data_ptr(), len(buffer), buffer._version)
        if self._prefix_trees.get("version") != version:
            self._prefix_trees = _Lookup(version=version)
        if domain not in self._prefix_trees:
            codes = buffer[self.domain_slice(domain)]
            group, keys = codes.new_zeros(len(codes)), []
            for level, size in enumerate(self.config.codebook_sizes):
                unique, group = torch.unique(group * size + codes[:, level], return_inverse=True)
                keys.append(unique)
            shared = len(keys[-1]) < len(codes)
            # With unique tuples a group is one item: `item[g]` is where it stands.
            item = None if shared else group.argsort()
            first = item
            if shared:
                first = torch.full_like(keys[-1], len(codes))
                first = first.scatter_reduce(0, group, torch.arange(len(codes)).to(group), "amin")
            self._prefix_trees[domain] = {
                "keys": keys,
                "group": group,
                "item": item,
                "first": first,
                "shared": shared,
            }
        return self._prefix_trees[domain]


class _Lookup(dict):
    """What is looked up in the catalogue. A copy of the model makes its own.

    Sparse matrices can neither be copied nor pickled.
    """

    def __deepcopy__(self, memo):
        return _Lookup()

    def __reduce__(self):
        return _Lookup, ()


class _SumOfRows(torch.autograd.Function):
    """`matrix @ weight` for a sparse matrix that is no parameter; its transpose gives gradients."""

    # Mixed precision would hand it halves, for which there is no sparse product.
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx, weight, matrix, transposed):
        ctx.transposed = transposed
        return matrix @ weight

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, gradient):
        return ctx.transposed @ gradient.float(), None, None


def _sparse_ones(
    starts: torch.Tensor, columns: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    """A sparse matrix of ones from where each row starts and the columns of its entries."""
    with warnings.catch_warnings():
        # PyTorch calls all its compressed matrices a beta.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            starts, columns, torch.ones(len(columns)), size=shape, check_invariants=False
        )
