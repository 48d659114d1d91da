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
    FEATURES_FOLDER,
    FUSION_FOLDER,
    ITEM_GRAPH_FOLDER,
    QUANTIZER_FOLDER,
    RECOMMENDER_FILE,
)
from ..errors import QBert4RecError
from ..features.encoder_set import EncoderSet
from ..files import atomic_folder, read_json, write_json, write_text
from ..fusion.modeling_fusion import QBert4RecFusionModel
from ..quantizer.modeling_quantizer import QBert4RecQuantizerModel
from ..semantic_ids.catalogue import ItemCatalog
from ..semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM
from .item_coder import ItemCoder
from .item_graph import ItemGraphPrior

FORMAT_VERSION = 1


@dataclass
class ModelFolder:
    """The parts of a recommender.

    Attributes:
        model: sequence model, catalogue set.
        catalog: item ids and titles in the rows of the model's catalogue.
        tokenizer: of the same codebooks.
        prior: item graph of the domain, or None.
        weights: share of the prior for each protocol.
        coder: encoders, fusion and quantizer, or None where semantic IDs were imported.
        info: domain, exclude_seen and what else `recommender.json` holds.
        card: text of the model card, or None.
    """

    model: QBert4RecForMaskedLM
    catalog: ItemCatalog
    tokenizer: QBert4RecTokenizer
    prior: ItemGraphPrior | None = None
    weights: dict[str, float] | None = None
    coder: ItemCoder | None = None
    info: dict[str, Any] = field(default_factory=dict)
    card: str | None = None


def write_model_folder(folder: str | os.PathLike, parts: ModelFolder) -> Path:
    """Writes all parts; what stood at `folder` is replaced once everything is there.

    Args:
        folder: becomes a Hub repository as it is: the sequence model at its root, so that
            `AutoModel.from_pretrained` opens it.
        parts: what to write.

    Raises:
        QBert4RecError: parts that do not belong together, or a folder that cannot be written.
    """
    _check_catalog(parts.model, parts.catalog, "the model")
    with atomic_folder(folder) as temporary:
        parts.model.save_pretrained(temporary)
        parts.tokenizer.save_pretrained(temporary)
        parts.catalog.save(temporary)
        if parts.prior is not None:
            parts.prior.save(temporary / ITEM_GRAPH_FOLDER)
        if parts.coder is not None:
            parts.coder.encoders.save(temporary / FEATURES_FOLDER)
            for name, part in (
                (FUSION_FOLDER, parts.coder.fusion),
                (QUANTIZER_FOLDER, parts.coder.quantizer),
            ):
                part.save_pretrained(temporary / name)
                # transformers looks for custom code at a repository's root, whatever `subfolder`.
                for code in (temporary / name).glob("*.py"):
                    shutil.copy(code, temporary / code.name)
        info = {
            **parts.info,
            "format_version": FORMAT_VERSION,
            "catalog_fingerprint": parts.model.config.catalog_fingerprint,
            "prior_weights": parts.weights,
        }
        write_json(temporary / RECOMMENDER_FILE, info)
        if parts.card is not None:
            write_text(temporary / CARD_FILE, parts.card)
    return Path(folder)


def open_model_folder(model: str | os.PathLike, **hub_arguments: Any) -> ModelFolder:
    """Opens a model folder, or a repository of the Hub, and checks that its parts fit.

    Args:
        model: folder, or id of a repository.
        hub_arguments: as in `huggingface_hub.snapshot_download`.

    Raises:
        QBert4RecError: no such model, a folder of another family, a part that is missing, or a
            catalogue that does not fit the model.
    """
    folder = find_model_folder(model, **hub_arguments)
    check_family(folder, "qbert4rec")
    info = read_json(folder / RECOMMENDER_FILE) if (folder / RECOMMENDER_FILE).exists() else {}
    if info.get("format_version", FORMAT_VERSION) > FORMAT_VERSION:
        raise QBert4RecError(
            f"{folder / RECOMMENDER_FILE} was written by a newer version of qbert4rec_hf; update "
            "the package"
        )
    sequence_model = load_part(QBert4RecForMaskedLM, folder)
    catalog = ItemCatalog.load(folder)
    _check_catalog(sequence_model, catalog, str(folder))
    graph, card = folder / ITEM_GRAPH_FOLDER, folder / CARD_FILE
    return ModelFolder(
        model=sequence_model,
        catalog=catalog,
        tokenizer=load_part(QBert4RecTokenizer, folder),
        prior=ItemGraphPrior.load(graph) if graph.is_dir() else None,
        weights=info.pop("prior_weights", None),
        coder=_open_coder(folder),
        info=info,
        # A card that some editor saved in another encoding is no reason not to recommend.
        card=card.read_text(encoding="utf-8", errors="replace") if card.is_file() else None,
    )


def find_model_folder(model: str | os.PathLike, **hub_arguments: Any) -> Path:
    """The local folder of a model, downloaded from the Hub unless it is a folder already.

    Raises:
        QBert4RecError: neither a folder nor a repository that can be reached.
    """
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(model), **hub_arguments))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise QBert4RecError(
            f"{model} is neither a folder nor a repository of the Hub that can be reached "
            f"({reason}); check the name"
        ) from None


def check_family(folder: Path, family: str) -> None:
    """Raises QBert4RecError unless a folder holds a model of the family (its `model_type`)."""
    if not (folder / "config.json").exists():
        raise QBert4RecError(f"{folder} holds no config.json; give the path of a model folder")
    found = read_json(folder / "config.json").get("model_type")
    if found != family:
        raise QBert4RecError(
            f"{folder} holds a model of the family {found!r}, not {family!r}; "
            "give the path of a qbert4rec model folder"
        )


def load_part(cls: type, folder: Path) -> Any:
    """`cls.from_pretrained(folder)` with a one-line error that names the folder."""
    try:
        return cls.from_pretrained(folder)
    except QBert4RecError:
        raise
    except Exception as error:
        # Whatever a damaged file makes safetensors, tokenizers or transformers raise.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise QBert4RecError(
            f"{folder} cannot be opened as {cls.__name__} ({reason}); fetch or train it again"
        ) from error


def _open_coder(folder: Path) -> ItemCoder | None:
    parts = [folder / name for name in (FEATURES_FOLDER, FUSION_FOLDER, QUANTIZER_FOLDER)]
    present = [part.is_dir() for part in parts]
    if not any(present):
        return None
    if not all(present):
        missing = parts[present.index(False)]
        raise QBert4RecError(f"{missing} does not exist; copy or push the whole model folder")
    check_family(parts[1], "qbert4rec_fusion")
    check_family(parts[2], "qbert4rec_quantizer")
    return ItemCoder(
        encoders=EncoderSet.load(parts[0]),
        fusion=load_part(QBert4RecFusionModel, parts[1]).eval(),
        quantizer=load_part(QBert4RecQuantizerModel, parts[2]).eval(),
    )


def _check_catalog(model: QBert4RecForMaskedLM, catalog: ItemCatalog, where: str) -> None:
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
