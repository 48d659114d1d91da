"""A model folder: everything that belongs to a recommender, in one place, checked to fit."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..columns import (
    CARD_FILE,
    CATALOG_INFO_FILE,
    FEATURES_FOLDER,
    FUSION_FOLDER,
    ITEM_GRAPH_FOLDER,
    QUANTIZER_FOLDER,
    RECOMMENDER_FILE,
    RERANKER_FOLDER,
    STAGE_FILE,
)
from ..errors import QBert4RecError
from ..features.encoder_set import EncoderSet
from ..files import atomic_folder, write_json, write_text
from ..fusion.modeling_fusion import QBert4RecFusionModel
from ..hub_files.download import find_folder
from ..hub_files.folders import MODEL
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from ..semantic_ids.catalogue import ItemCatalog
from ..semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from .item_coder import ItemCoder
from .item_graph import ItemGraphPrior
from .item_graph_files import MAX_SHARD_SIZE
from .model_folder_checks import (
    RECOMMENDER_FORMAT,
    check_family,
    check_vocabulary,
    check_weights,
    coder_folders,
    read_recommender,
)
from .new_items import NewItemIds
from .pipeline_code import add_pipeline_code
from .reranker import Reranker


@dataclass
class ModelFolder:
    """The parts of a recommender.

    Attributes:
        model: sequence model, catalogue set.
        catalog: item ids and titles in the rows of the model's catalogue.
        tokenizer: of the same codebooks.
        prior: item graph of the domain, or None.
        weights: share of the prior for each protocol.
        seen_weight: what the scores of a history's items are multiplied by where they are ranked.
        reranker: re-orders the first items of the mixture, or None.
        coder: encoders, fusion and quantizer, or None where semantic IDs were imported.
        info: domain, exclude_seen and what else `recommender.json` holds.
        card: text of the model card, or None.
        new_items: items that were added since the model was trained.
    """

    model: QBert4RecForMaskedLM
    catalog: ItemCatalog
    tokenizer: QBert4RecTokenizer
    prior: ItemGraphPrior | None = None
    weights: dict[str, float] | None = None
    seen_weight: float = 1.0
    reranker: Reranker | None = None
    coder: ItemCoder | None = None
    info: dict[str, Any] = field(default_factory=dict)
    card: str | None = None
    new_items: NewItemIds = field(default_factory=NewItemIds)


def write_model_folder(
    folder: str | os.PathLike, parts: ModelFolder, *, max_shard_size: int | str = MAX_SHARD_SIZE
) -> Path:
    """Writes all parts; what stood at `folder` is replaced once everything is there.

    Args:
        folder: becomes a Hub repository as it is: the sequence model at its root, so that
            `AutoModel.from_pretrained` opens it.
        parts: what to write.
        max_shard_size: above this, weights go into several files.

    Raises:
        QBert4RecError: parts that do not belong together, a folder that is a stage of a run, or
            one that cannot be written.
    """
    if (Path(folder) / STAGE_FILE).is_file():
        raise QBert4RecError(
            f"{folder} is a stage of a run, which would not know its own result again; save to a "
            "folder of its own"
        )
    with atomic_folder(folder) as temporary:
        write_parts(temporary, parts, max_shard_size=max_shard_size)
    return Path(folder)


def write_parts(
    folder: Path, parts: ModelFolder, *, max_shard_size: int | str = MAX_SHARD_SIZE
) -> None:
    """Writes all parts into an existing folder. Arguments and errors as above."""
    check_catalog(parts.model, parts.catalog, "the model")
    parts.model.save_pretrained(folder, max_shard_size=max_shard_size)
    parts.tokenizer.save_pretrained(folder)
    parts.catalog.save(folder)
    add_pipeline_code(folder)
    parts.new_items.save(folder)
    if parts.prior is not None:
        parts.prior.save(folder / ITEM_GRAPH_FOLDER, max_shard_size=max_shard_size)
    if parts.reranker is not None:
        parts.reranker.save(folder / RERANKER_FOLDER)
    if parts.coder is not None:
        parts.coder.encoders.save(folder / FEATURES_FOLDER)
        for name, part in (
            (FUSION_FOLDER, parts.coder.fusion),
            (QUANTIZER_FOLDER, parts.coder.quantizer),
        ):
            part.save_pretrained(folder / name)
            # transformers looks for custom code at a repository's root, whatever `subfolder`.
            for code in (folder / name).glob("*.py"):
                shutil.copy(code, folder / code.name)
    info = {
        **parts.info,
        "format_version": RECOMMENDER_FORMAT,
        "catalog_fingerprint": parts.model.config.catalog_fingerprint,
        "prior_weights": parts.weights,
        "seen_weight": parts.seen_weight,
    }
    write_json(folder / RECOMMENDER_FILE, info)
    if parts.card is not None:
        write_text(folder / CARD_FILE, parts.card)


def open_model_folder(
    model: str | os.PathLike, *, trust_remote_code: bool = False, **hub_arguments: Any
) -> ModelFolder:
    """Opens a model folder, or a repository of the Hub, and checks that its parts fit.

    Args:
        model: folder, or id of a repository.
        trust_remote_code: whether encoders whose model brings code of its own may run it.
        hub_arguments: `revision`, `token`, `cache_dir`, `local_files_only` and `force_download`, as
            in `huggingface_hub.snapshot_download`.

    Raises:
        QBert4RecError: no such model, a folder of another family or a later version, a part that
            is missing, or a tokenizer or catalogue that does not fit the model.
    """
    folder = find_model_folder(model, **hub_arguments)
    info = read_recommender(folder)
    sequence_model, catalog, tokenizer = open_sequence_model(folder)
    graph, reranker = folder / ITEM_GRAPH_FOLDER, folder / RERANKER_FOLDER
    card = folder / CARD_FILE
    return ModelFolder(
        model=sequence_model,
        catalog=catalog,
        tokenizer=tokenizer,
        prior=ItemGraphPrior.load(graph) if graph.is_dir() else None,
        weights=info.pop("prior_weights", None),
        # Folders of before this existed ranked seen items as they are.
        seen_weight=info.pop("seen_weight", 1.0),
        reranker=Reranker.load(reranker) if reranker.is_dir() else None,
        coder=_open_coder(folder, trust_remote_code),
        info=info,
        # A card that some editor saved in another encoding is no reason not to recommend.
        card=card.read_text(encoding="utf-8", errors="replace") if card.is_file() else None,
        new_items=NewItemIds.load(folder),
    )


def open_sequence_model(
    folder: Path,
) -> tuple[QBert4RecForMaskedLM, ItemCatalog, QBert4RecTokenizer]:
    """Opens the sequence model of a folder with its catalogue and tokenizer, which must fit it.

    Raises:
        QBert4RecError: one of them is missing or damaged, the weights are a pickle, or they do not
            belong together.
    """
    if not (folder / CATALOG_INFO_FILE).exists():
        raise QBert4RecError(
            f"{folder} holds a sequence model and no catalogue ({CATALOG_INFO_FILE}), so nobody "
            "knows its items; give the model folder of a run, or what Recommender.save_pretrained "
            "wrote"
        )
    check_weights(folder)
    model = load_part(QBert4RecForMaskedLM, folder)
    catalog = ItemCatalog.load(folder)
    check_catalog(model, catalog, str(folder))
    tokenizer = load_part(QBert4RecTokenizer, folder)
    check_vocabulary(folder, tokenizer, model.config)
    return model, catalog, tokenizer


def find_model_folder(model: str | os.PathLike, **hub_arguments: Any) -> Path:
    """The local folder of a model, downloaded from the Hub unless it is a folder already.

    Raises:
        QBert4RecError: neither a folder nor a repository that can be reached, or another family.
    """
    # The configuration alone first: another model may be very large.
    folder = find_folder(model, ["config.json"], **hub_arguments)
    check_family(folder, "qbert4rec")
    if folder == Path(model):
        return folder
    # The same commit, even if the branch has moved meanwhile.
    return find_folder(model, MODEL.wanted, **{**hub_arguments, "revision": folder.name})


def load_part(cls: type, folder: Path) -> Any:
    """`cls.from_pretrained(folder)` with a one-line error that names the folder."""
    try:
        return cls.from_pretrained(folder)
    except QBert4RecError:
        raise
    except Exception as error:
        # Whatever a damaged file makes safetensors, tokenizers or transformers raise.
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise QBert4RecError(
            f"{folder} cannot be opened as {cls.__name__} ({reason}); fetch or train it again"
        ) from error


def _open_coder(folder: Path, trust_remote_code: bool) -> ItemCoder | None:
    parts = coder_folders(folder)
    if parts is None:
        return None
    return ItemCoder(
        encoders=EncoderSet.load(parts[FEATURES_FOLDER], trust_remote_code=trust_remote_code),
        fusion=load_part(QBert4RecFusionModel, parts[FUSION_FOLDER]).eval(),
        quantizer=load_part(QBert4RecQuantizerModel, parts[QUANTIZER_FOLDER]).eval(),
    )


def check_catalog(model: QBert4RecForMaskedLM, catalog: ItemCatalog, where: str) -> None:
    """Raises QBert4RecError unless the catalogue is the one that the model ranks."""
    codes = torch.from_numpy(catalog.codes)
    if (
        list(catalog.codebook_sizes) != list(model.config.codebook_sizes)
        or list(catalog.domain_sizes) != list(model.config.num_items)
        or model.fingerprint_catalog(codes) != model.config.catalog_fingerprint
    ):
        raise QBert4RecError(
            f"{where} and its catalogue do not belong together: the model ranks "
            f"{sum(model.config.num_items)} items (fingerprint "
            f"{model.config.catalog_fingerprint}), the catalogue holds {len(catalog.item_ids)} "
            "others; take both from the same run"
        )
