"""Fusion of an item's modalities with a depth of its own, stage 1 of Q-BERT4Rec."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_fusion import QBert4RecFusionConfig
from .layers_fusion import (
    QBert4RecFusionLayer,
    QBert4RecModalityAlignment,
    QBert4RecProjection,
    QBert4RecStopGate,
)
from .losses_fusion import depth_divergence, info_nce


@dataclass
class QBert4RecFusionOutput(ModelOutput):
    """What the fusion model returns.

    Args:
        loss: sum of the terms below; only when asked for.
        contrastive_loss: sum of the symmetric InfoNCE terms over all pairs.
        consistency_loss: mean squared distance to the ID query, before its weight lambda.
        depth_loss: distance of the stopping distribution from the wanted one, before its weight.
        pair_losses: each InfoNCE term by the names of its pair, as `"fused-text"`.
        fused: fused embeddings `[items, hidden]`.
        depth: number of blocks that each item used `[items]`.
        gates: probability of stopping after each block, given that the item came so far
            `[items, layers]`; 1 for the last. Outside training, 0 for blocks beyond `depth`.
        aligned: the modalities in the shared space `[items, modalities, hidden]`, unit length, in
            the order of `config.modality_names`; zeros where missing.
        aligned_mask: which of them are present `[items, modalities]`.
    """

    loss: torch.Tensor | None = None
    contrastive_loss: torch.Tensor | None = None
    consistency_loss: torch.Tensor | None = None
    depth_loss: torch.Tensor | None = None
    pair_losses: dict[str, torch.Tensor] | None = None
    fused: torch.Tensor | None = None
    depth: torch.Tensor | None = None
    gates: torch.Tensor | None = None
    aligned: torch.Tensor | None = None
    aligned_mask: torch.Tensor | None = None


class QBert4RecFusionPreTrainedModel(PreTrainedModel):
    """Loading, saving and initialisation of the fusion family."""

    config_class = QBert4RecFusionConfig
    base_model_prefix = "fusion"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["QBert4RecFusionLayer"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        super()._init_weights(module)
        if isinstance(module, QBert4RecProjection):
            # Cosines of the content are kept, as far as the shared space has room for them.
            init.orthogonal_(module.weight)
        elif isinstance(module, QBert4RecStopGate):
            init.zeros_(module.channel_weight)
            init.xavier_normal_(module.mlp[0].weight)
            init.xavier_normal_(module.mlp[2].weight)
            # Start from gates that tell items apart (two standard deviations lie between a
            # chance of 0.02 and one of 0.98), at about the wanted depth.
            chance = 1.0 / max(float(self.config.expected_depth), 1.0 + 1e-3)
            init.constant_(module.population.weight, 2.0)
            init.constant_(module.population.bias, float(torch.logit(torch.tensor(chance))))
        elif isinstance(module, QBert4RecFusionModel):
            init.normal_(module.shared_query, std=1.0)
            init.normal_(module.modality_embedding, std=self.config.initializer_range)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.query_noise)


class QBert4RecFusionModel(QBert4RecFusionPreTrainedModel):
    """Fuses text, image and structure of an item into one embedding.

    **Queries.** The query of an item is the shared query plus an offset of its own, which starts
    as small noise. In training the offset is left out for a share `id_dropout` of the items, so
    that the shared query alone also works: it stands in for items that come later. The target of
    the consistency term stays the item's own query in both cases, which draws its two views
    together.

    **Depth.** Halting between ACT and PonderNet. After block l the gate gives a probability
    lambda_l to stop there, so that an item stops after block l with p_l = lambda_l * prod_{j<l}
    (1 - lambda_j). It goes on until `stop_threshold` of its probability is spent; the block where
    it stops takes what is left. Its embedding is the mean of the states h^(l) weighed by p_l: that
    is what the gates learn from, and it is the same in training and afterwards. `depth_loss` leads
    the mean of p over the items towards a truncated geometric distribution with mean
    `expected_depth` (Kullback-Leibler divergence): the population is to use that many layers, each
    item is free. `embed` drops items that stop from the batch; `forward` computes the same under a
    mask.

    **Output.** The weighed mean of the states, plus the mean of the modality vectors that are
    there (`content_residual`), under a layer norm without weights: every item has the same
    length. An item without any modality is represented by its query alone.

    Source: sections 3.3 and 4 of the Q-BERT4Rec paper; Graves 2016 (ACT) and Banino et al. 2021
    (PonderNet) for halting.

    Example:
        >>> import torch
        >>> from qbert4rec_hf import QBert4RecFusionConfig, QBert4RecFusionModel
        >>> config = QBert4RecFusionConfig(modalities={"text": 8}, num_items=3, hidden_size=16)
        >>> model = QBert4RecFusionModel(config)
        >>> model.embed({"text": torch.randn(3, 1, 8)}).fused.shape
        torch.Size([3, 16])
    """

    def __init__(self, config: QBert4RecFusionConfig) -> None:
        super().__init__(config)
        self.alignment = nn.ModuleDict(
            {
                name: QBert4RecModalityAlignment(config.modalities[name], config)
                for name in config.modality_names
            }
        )
        self.modality_embedding = nn.Parameter(
            torch.zeros(len(config.modalities), config.hidden_size)
        )
        self.content_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.shared_query = nn.Parameter(torch.zeros(config.hidden_size))
        self.item_query = None
        if config.num_items:
            self.item_query = nn.Embedding(config.num_items, config.hidden_size)
        self.layers = nn.ModuleList(QBert4RecFusionLayer(config) for _ in range(config.max_layers))
        self.gates = None
        if config.depth == "dynamic":
            # The last block needs no gate: whoever is left stops there.
            self.gates = nn.ModuleList(
                QBert4RecStopGate(config) for _ in range(config.max_layers - 1)
            )
        self.post_init()

    def drop_item_table(self) -> QBert4RecFusionModel:
        """Forgets the own queries, for use with another catalogue; returns the model itself.

        A table is never re-indexed: row numbers of one catalogue mean nothing in another.
        """
        self.item_query = None
        self.config.num_items = 0
        self.config.catalog_fingerprint = None
        return self

    def forward(
        self,
        features: dict[str, torch.Tensor],
        feature_mask: dict[str, torch.Tensor] | None = None,
        item_index: torch.LongTensor | None = None,
        return_loss: bool = True,
    ) -> QBert4RecFusionOutput:
        """Fuses a batch of items and computes the loss (equation 5).

        Args:
            features: a tensor `[items, vectors, features]` for each modality. One that is left
                out counts as missing for all items.
            feature_mask: which vectors are there, `[items, vectors]` of bool; all of them if left
                out.
            item_index: row of each item's own query `[items]`; -1, or None for the whole batch,
                takes the shared query.
            return_loss: whether to compute the loss terms.

        Raises:
            ValueError: a modality that the model does not know, vectors of another size, parts of
                different numbers of items, or an index outside the table.
        """
        features, masks = self._check(features, feature_mask, item_index)
        query, own = self._queries(item_index, len(next(iter(features.values()))))
        aligned, present = self._align(features, masks, query)
        content = self.content_norm(aligned + self.modality_embedding)

        hidden, states, gates = query, [], []
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, content, present)
            states.append(hidden)
            gates.append(self._gate(number, hidden))
        gates = torch.stack(gates, dim=1)
        stop, depth = self._stop_distribution(gates)
        mixed = (stop[..., None] * torch.stack(states, dim=1)).sum(1)
        fused = self._finish(mixed, aligned, present)
        depth_loss = None
        if return_loss and self.gates is not None:
            depth_loss = depth_divergence(gates, self.config.expected_depth)
        if not self.training:
            layer_number = torch.arange(1, gates.shape[1] + 1, device=gates.device)
            gates = gates * (layer_number <= depth[:, None])

        output = QBert4RecFusionOutput(
            fused=fused,
            depth=depth,
            gates=gates,
            aligned=aligned,
            aligned_mask=present,
            depth_loss=depth_loss,
        )
        if return_loss:
            self._add_losses(output, own)
        return output

    @torch.no_grad()
    def embed(
        self,
        features: dict[str, torch.Tensor],
        feature_mask: dict[str, torch.Tensor] | None = None,
        item_index: torch.LongTensor | None = None,
    ) -> QBert4RecFusionOutput:
        """Fuses items without gradient or dropout; those that stop leave the batch.

        Takes and returns what `forward` does, without losses, and gives the same embeddings.
        """
        training = self.training
        self.eval()
        try:
            features, masks = self._check(features, feature_mask, item_index)
            query, _ = self._queries(item_index, len(next(iter(features.values()))))
            aligned, present = self._align(features, masks, query)
            content = self.content_norm(aligned + self.modality_embedding)
            mixed, depth, gates = self._run_until_stopped(query, content, present)
            fused = self._finish(mixed, aligned, present)
        finally:
            self.train(training)
        return QBert4RecFusionOutput(
            fused=fused, depth=depth, gates=gates, aligned=aligned, aligned_mask=present
        )

    def _run_until_stopped(self, query, content, present):
        mixed = torch.zeros_like(query)
        depth = torch.zeros(len(query), dtype=torch.long, device=query.device)
        gates = query.new_zeros(len(query), self.config.max_layers)
        rows = torch.arange(len(query), device=query.device)
        hidden, left = query, query.new_ones(len(query))
        for number, layer in enumerate(self.layers):
            if not len(rows):
                break
            hidden = layer(hidden, content, present)
            gate = self._gate(number, hidden)
            gates[rows, number] = gate
            stops = self._stops(left * (1 - gate), number)
            mixed[rows] += torch.where(stops, left, left * gate)[:, None] * hidden
            depth[rows] = number + 1
            goes_on = ~stops
            rows, left = rows[goes_on], (left * (1 - gate))[goes_on]
            hidden, content, present = hidden[goes_on], content[goes_on], present[goes_on]
        return mixed, depth, gates

    def _gate(self, number: int, hidden: torch.Tensor) -> torch.Tensor:
        """Probability to stop after block `number`, counted from 0: `[items]`."""
        if number == self.config.max_layers - 1:
            return hidden.new_ones(len(hidden))
        if self.gates is None:
            return hidden.new_zeros(len(hidden))
        return self.gates[number](hidden)

    def _stops(self, left_after: torch.Tensor, number: int) -> torch.Tensor:
        """Whether an item is done after block `number`, given the probability then left."""
        if number == self.config.max_layers - 1:
            return torch.ones_like(left_after, dtype=torch.bool)
        if self.gates is None:
            return torch.zeros_like(left_after, dtype=torch.bool)
        return left_after <= 1 - self.config.stop_threshold

    def _stop_distribution(self, gates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The share of each block in the embedding `[items, layers]`, and the depth `[items]`."""
        left_after = (1 - gates).cumprod(dim=1)
        left_before = torch.cat([torch.ones_like(gates[:, :1]), left_after[:, :-1]], dim=1)
        stops = torch.stack(
            [self._stops(left_after[:, n], n) for n in range(gates.shape[1])], dim=1
        )
        depth = stops.int().argmax(dim=1) + 1
        layer_number = torch.arange(1, gates.shape[1] + 1, device=gates.device)
        share = torch.where(layer_number == depth[:, None], left_before, gates * left_before)
        return share * (layer_number <= depth[:, None]), depth

    def _finish(self, mixed, aligned, present) -> torch.Tensor:
        if self.config.content_residual:
            # Unit vectors are stretched to the length of a state whose elements are of order one.
            scale = self.config.hidden_size**0.5
            count = present.sum(-1, keepdim=True).clamp(min=1)
            mixed = mixed + scale * aligned.sum(1) / count
        return F.layer_norm(mixed, mixed.shape[-1:], eps=self.config.layer_norm_eps)

    def _queries(self, item_index, num_items) -> tuple[torch.Tensor, torch.Tensor]:
        """The queries to use, and each item's own one: both `[items, hidden]`."""
        shared = self.shared_query.expand(num_items, -1)
        if item_index is None or self.item_query is None:
            return shared, shared
        known = item_index >= 0
        offset = self.item_query(item_index.clamp(min=0)) * known[:, None]
        own = shared + offset
        if not self.training or not self.config.id_dropout:
            return own, own
        kept = torch.rand(num_items, 1, device=offset.device) >= self.config.id_dropout
        return shared + offset * kept, own

    def _align(self, features, masks, query) -> tuple[torch.Tensor, torch.Tensor]:
        vectors, present = [], []
        for name in self.config.modality_names:
            if name in features:
                vectors.append(self.alignment[name](features[name], masks[name], query))
                present.append(masks[name].any(-1))
            else:
                vectors.append(torch.zeros_like(query))
                present.append(torch.zeros(len(query), dtype=torch.bool, device=query.device))
        return torch.stack(vectors, dim=1), torch.stack(present, dim=1)

    def _add_losses(self, output: QBert4RecFusionOutput, own) -> None:
        names = self.config.modality_names
        pairs = [(output.fused, output.aligned_mask.any(-1))]
        pairs += [(output.aligned[:, m], output.aligned_mask[:, m]) for m in range(len(names))]
        labels = ["fused", *names]
        output.pair_losses = {}
        for first in range(len(pairs)):
            for second in range(first + 1, len(pairs)):
                both = pairs[first][1] & pairs[second][1]
                output.pair_losses[f"{labels[first]}-{labels[second]}"] = info_nce(
                    pairs[first][0][both],
                    pairs[second][0][both],
                    self.config.contrastive_temperature,
                )
        output.contrastive_loss = torch.stack(list(output.pair_losses.values())).sum()
        output.consistency_loss = F.mse_loss(output.fused, own.detach())
        output.loss = (
            output.contrastive_loss + self.config.consistency_weight * output.consistency_loss
        )
        if output.depth_loss is not None:
            output.loss = output.loss + self.config.depth_weight * output.depth_loss

    def _check(self, features, feature_mask, item_index):
        if not features:
            raise ValueError(
                "features is empty; give at least one modality, fully masked if need be"
            )
        masks = {}
        items = len(next(iter(features.values())))
        for name, values in features.items():
            if name not in self.config.modalities:
                raise ValueError(
                    f"features[{name!r}] is not a modality of this model; it has "
                    f"{', '.join(self.config.modality_names)}"
                )
            size = self.config.modalities[name]
            if values.dim() != 3 or values.shape[-1] != size:
                raise ValueError(
                    f"features[{name!r}] has shape {list(values.shape)}; this model takes "
                    f"[items, vectors, {size}]"
                )
            mask = (feature_mask or {}).get(name)
            if len(values) != items or (mask is not None and mask.shape != values.shape[:2]):
                raise ValueError(
                    f"features[{name!r}] or their mask do not fit the {items} items of the batch; "
                    "the mask is [items, vectors]"
                )
            masks[name] = (
                torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
                if mask is None
                else mask.bool()
            )
        if item_index is not None and item_index.shape != (items,):
            raise ValueError(
                f"item_index has shape {list(item_index.shape)}; the batch has {items} items"
            )
        if item_index is not None and items:
            highest = int(item_index.max())
            if highest >= self.config.num_items and highest >= 0:
                raise ValueError(
                    f"item_index {highest} is outside the {self.config.num_items} own queries of "
                    "this model; leave item_index out to use the shared query"
                )
        return features, masks


QBert4RecFusionModel.register_for_auto_class("AutoModel")

__all__ = ["QBert4RecFusionModel", "QBert4RecFusionPreTrainedModel"]
