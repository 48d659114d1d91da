"""What the sequence model learns from: cross-entropies over codes, or over the items that exist."""

from __future__ import annotations

import math

import torch
from torch import nn


class QBert4RecLossMixin:
    """The objectives of a model with a head and a `QBert4RecCatalogMixin`.

    Source: `"codes"` eq. 11; `"catalog"` is ours.
    """

    def _masked_items(self, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Which items of each row the loss reads, `[batch, read]`, and the labels of those.

        Rows that hide fewer items than another read visible ones too, whose labels are -100.
        """
        labels = labels.view(labels.shape[0], -1, self.config.num_levels)
        masked = (labels >= 0).any(dim=2)
        width = int(masked.sum(dim=1).max().clamp(min=1))
        read = masked.int().argsort(dim=1, descending=True, stable=True)[:, :width]
        return read, labels.take_along_dim(read[:, :, None], dim=1).flatten(1)

    def _loss(
        self,
        states: torch.Tensor,
        labels: torch.Tensor,
        domain_ids: torch.Tensor | None,
        num_items_in_batch: torch.Tensor | int | None,
    ) -> torch.Tensor:
        """Of states `[batch, items, levels or 1, hidden]` and labels `[batch, items * levels]`."""
        levels = self.config.num_levels
        labels = labels.view(labels.shape[0], -1, levels)
        masked = (labels >= 0).any(dim=2)
        states = self.head.transform(states[masked])
        codes = labels[masked] - labels.new_tensor(self.config.level_offsets)
        given = labels[masked] >= 0
        self._check_codes(codes, given)
        if self.config.objective == "catalog":
            self._require_catalog()
            domains = self._domains(domain_ids, len(labels))[:, None].expand(masked.shape)[masked]
            loss = levels * self._catalog_loss(states, codes.where(given, -1), domains)
        else:
            loss = self._codes_loss(states, codes.where(given, -100))
            whole = given.all(dim=1)
            if self.item_bias is not None and len(self.item_bias) and torch.is_grad_enabled():
                domains = self._domains(domain_ids, len(labels))[:, None].expand(masked.shape)
                bias_loss = levels * self._catalog_loss(
                    states[whole], codes[whole], domains[masked][whole], bias_only=True
                )
                # A gradient for the item bias alone; the loss that is shown stays eq. 11.
                loss = loss + bias_loss - bias_loss.detach()
        count = given.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        return loss / count

    def _check_codes(self, codes: torch.Tensor, given: torch.Tensor) -> None:
        sizes = codes.new_tensor(self.config.codebook_sizes)
        wrong = (given & ((codes < 0) | (codes >= sizes))).nonzero()
        if len(wrong):
            row, level = wrong[0].tolist()
            token = codes[row, level].item() + self.config.level_offsets[level]
            raise ValueError(
                f"labels hold token {token} where a token of level {level} belongs; give an item's "
                "tokens in the order of its levels, and -100 where nothing is masked"
            )

    def _codes_loss(self, states: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Sum of eq. 11's cross-entropies over the masked tokens; codes are -100 elsewhere."""
        loss = states.new_zeros((), dtype=torch.float32)
        for level in range(self.config.num_levels):
            logits = self._level_logits(states, level).float()
            loss = loss + nn.functional.cross_entropy(logits, codes[:, level], reduction="sum")
        return loss

    def _catalog_loss(
        self,
        states: torch.Tensor,
        codes: torch.Tensor,
        domains: torch.Tensor,
        bias_only: bool = False,
    ) -> torch.Tensor:
        """Sum of the cross-entropies over the items of each row's domain, one a masked item.

        With `bias_only` nothing but the item bias learns from it.
        """
        loss = states.new_zeros((), dtype=torch.float32)
        for domain in torch.unique(domains).tolist():
            rows = domains == domain
            group = self._find_items(codes[rows], domain)
            if (group < 0).any():
                missing = codes[rows][group < 0][0].tolist()
                raise ValueError(
                    f"labels hold an item with codes {missing}, which the catalogue of domain "
                    f"{domain} lacks (or which is masked in part); call model.set_catalog with the "
                    "items of the training data and mask whole items"
                )
            loss = loss + self._domain_loss(states[rows], group, domain, bias_only)
        return loss

    def _domain_loss(
        self, states: torch.Tensor, group: torch.Tensor, domain: int, bias_only: bool
    ) -> torch.Tensor:
        tree = self._prefix_tree(domain)
        items, log_weight = self._softmax_items(group, domain)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not bias_only):
            logits = self._catalog_logits(states, domain, items)
        if bias_only:
            bias = self._domain_rows(self.item_bias, domain, items)
            logits = logits + (bias - bias.detach())
        logits = logits.float()
        if log_weight is not None:
            logits = logits + log_weight
        if tree["shared"]:
            # Items that share an ID cannot be told apart by their label: their mass is one.
            groups = tree["group"] if items is None else tree["group"][items]
            other = groups[None, :] != group[:, None]
            mass = logits.masked_fill(other, float("-inf")).logsumexp(dim=1)
            return (logits.logsumexp(dim=1) - mass).sum()
        target = tree["item"][group]
        if items is not None:
            target = (items[None, :] == target[:, None]).int().argmax(dim=1)
        return nn.functional.cross_entropy(logits, target, reduction="sum")

    def _softmax_items(
        self, group: torch.Tensor, domain: int
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Items of the domain that the softmax runs over, and what to add to each one's logit.

        Without sampling both are None: all items. Otherwise the targets of the batch, and drawn
        items that stand for all others: each counts for as many as it represents, so that the sum
        over the catalogue is right on average.
        """
        tree, sampled = self._prefix_tree(domain), self.config.num_sampled_items
        size = len(tree["group"])
        if sampled is None or sampled >= size or not self.training:
            return None, None
        wanted = torch.zeros(len(tree["keys"][-1]), dtype=torch.bool, device=group.device)
        wanted[group] = True
        wanted = wanted[tree["group"]]
        targets = wanted.nonzero()[:, 0]
        drawn = torch.unique(torch.randint(size, (sampled,), device=group.device))
        drawn = drawn[~wanted[drawn]]
        items = torch.cat([targets, drawn])
        log_weight = torch.zeros(len(items), device=group.device)
        if len(drawn):
            log_weight[len(targets) :] = math.log((size - len(targets)) / len(drawn))
        return items, log_weight
