"""Embeddings of items by a trained fusion model, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from ..errors import QBert4RecError
from ..fusion.modeling_fusion import QBert4RecFusionModel

if TYPE_CHECKING:
    from ..features.store import ItemFeatures


class FusedViews(NamedTuple):
    """The two views of the same items.

    Args:
        own: embeddings by own queries `[items, hidden]`; equal to `shared` for a model without a
            table of own queries.
        shared: embeddings by the shared query `[items, hidden]`, as items get that come later.
        depth: blocks that each item used in its own view `[items]`.
    """

    own: torch.Tensor
    shared: torch.Tensor
    depth: torch.Tensor


def embed_features(
    fusion: QBert4RecFusionModel,
    features: ItemFeatures,
    *,
    own_queries: bool = False,
    batch_size: int = 1024,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeds all items of a feature folder.

    Args:
        fusion: the model.
        features: features of the items.
        own_queries: use the own query of each item; the items must then be those that the model
            was trained on, in the same order.
        batch_size: items at a time.

    Returns:
        Embeddings `[items, hidden]` and depths `[items]`, both on the CPU.

    Raises:
        QBert4RecError: features that do not fit the model, or own queries asked for of other items
            than it has.
    """
    vectors, masks = features.as_tensors()
    check_features(fusion, vectors)
    num_items = len(features.item_ids)
    if own_queries and fusion.config.num_items != num_items:
        raise QBert4RecError(
            f"the fusion model has own queries for {fusion.config.num_items} items, the features "
            f"are of {num_items}; use the shared query, or the features it was trained on"
        )
    device = fusion.shared_query.device
    fused = torch.empty(num_items, fusion.config.hidden_size)
    depth = torch.empty(num_items, dtype=torch.long)
    for start in range(0, num_items, batch_size):
        rows = torch.arange(start, min(start + batch_size, num_items))
        output = fusion.embed(
            {name: values[rows].to(device) for name, values in vectors.items()},
            {name: mask[rows].to(device) for name, mask in masks.items()},
            rows.to(device) if own_queries else None,
        )
        fused[rows] = output.fused.float().cpu()
        depth[rows] = output.depth.cpu()
    return fused, depth


def fused_views(
    fusion: QBert4RecFusionModel, features: ItemFeatures, *, batch_size: int = 1024
) -> FusedViews:
    """Embeds the items that the model was trained on twice: by own and by shared query.

    Raises:
        QBert4RecError: as for `embed_features`.
    """
    shared, depth = embed_features(fusion, features, batch_size=batch_size)
    if not fusion.config.num_items:
        return FusedViews(shared, shared, depth)
    own, depth = embed_features(fusion, features, own_queries=True, batch_size=batch_size)
    return FusedViews(own, shared, depth)


def check_features(fusion: QBert4RecFusionModel, vectors: dict[str, torch.Tensor]) -> None:
    """Compares features `[items, vectors, features]` a modality with what the model takes.

    Raises:
        QBert4RecError: names the modality, and both sizes.
    """
    known = fusion.config.modalities
    for name, values in vectors.items():
        if name not in known:
            raise QBert4RecError(
                f"the features have a modality {name!r} that the fusion model does not know; it "
                f"was trained on {', '.join(sorted(known))}"
            )
        if values.shape[-1] != known[name]:
            raise QBert4RecError(
                f"the {name} features have {values.shape[-1]} axes, the fusion model takes "
                f"{known[name]}; use the feature encoders stored with the model"
            )
    if not vectors:
        raise QBert4RecError("the features have no modality; give at least one")
