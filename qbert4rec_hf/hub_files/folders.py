"""Which of the folders that this package writes a folder is, by the files in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..columns import (
    CARD_FILE,
    CATALOG_FILE,
    CATALOG_INFO_FILE,
    CODES_FOLDER,
    DOMAIN_FILE,
    FEATURES_FOLDER,
    FUSION_FOLDER,
    INTERACTIONS,
    ITEM_GRAPH_FOLDER,
    ITEMS,
    NEW_ITEMS_FILE,
    PREPARATION_FILE,
    QUANTIZER_FOLDER,
    RECOMMENDER_FILE,
    RERANKER_FOLDER,
)
from ..errors import QBert4RecError
from ..files import read_json

FAMILIES = ("qbert4rec", "qbert4rec_fusion", "qbert4rec_quantizer")
# What stands before an address in a card's snippets.
_OPENERS = ("from_pretrained(", "load_dataset(", 'pipeline("next-item-recommendation", model=')
_TABLES = [f"{t}{form}" for t in (ITEMS, INTERACTIONS) for form in (".parquet", "-*.parquet")]
_SHARDS = [f"{table}/*.parquet" for table in (ITEMS, INTERACTIONS)]


@dataclass(frozen=True)
class FolderKind:
    """A kind of folder and how it stands on the Hub.

    Args:
        name: in words.
        repo_type: of a repository that holds such a folder.
        ours: patterns of the files that make up such a folder, "*" matching slashes too. Those in
            a repository that are not in the folder any more are of an older one.
        wanted: patterns of what is downloaded to open it.
        address_in_card: finds in a card what its snippets open.
    """

    name: str
    repo_type: str
    ours: tuple[str, ...]
    wanted: tuple[str, ...]
    address_in_card: Callable[[str], str | None] = lambda card: None


def _model_in_card(card: str) -> str | None:
    found = re.search(r"Recommender\.from_pretrained\((\"(?:[^\"\\]|\\.)*\")\)", card)
    return found and found[1]


MODEL = FolderKind(
    name="model folder",
    repo_type="model",
    ours=(
        "model.safetensors",
        "model-*.safetensors",
        "model.safetensors.index.json",
        CATALOG_FILE,
        CATALOG_INFO_FILE,
        RECOMMENDER_FILE,
        NEW_ITEMS_FILE,
        *(f"{f}/*" for f in (FUSION_FOLDER, QUANTIZER_FOLDER, FEATURES_FOLDER)),
        *(f"{f}/*" for f in (ITEM_GRAPH_FOLDER, RERANKER_FOLDER)),
    ),
    wanted=("*.json", "*.safetensors", "*.parquet", "*.py", "*.txt", CARD_FILE),
    address_in_card=_model_in_card,
)
DOMAIN = FolderKind(
    name="domain folder",
    repo_type="dataset",
    ours=(*_TABLES, *_SHARDS, f"{CODES_FOLDER}/*.parquet", DOMAIN_FILE, PREPARATION_FILE),
    wanted=(
        *_TABLES,
        *_SHARDS,
        f"{CODES_FOLDER}/*.parquet",
        DOMAIN_FILE,
        PREPARATION_FILE,
        CARD_FILE,
    ),
    address_in_card=lambda card: '"path/to/this/folder"',
)
FEATURES = FolderKind(
    name="feature folder",
    repo_type="dataset",
    ours=("*.safetensors", "index.json"),
    wanted=("*.safetensors", "index.json"),
)


def kind_of(folder: Path) -> FolderKind:
    """Recognises a folder.

    Raises:
        QBert4RecError: there is no such folder, or it is none of ours.
    """
    if not folder.is_dir():
        raise QBert4RecError(f"{folder} is not a folder; check the path")
    if (folder / "config.json").is_file():
        family = model_type(folder)
        if family in FAMILIES:
            return MODEL
        raise QBert4RecError(
            f"{folder} holds a model of the family {family!r}, none of {', '.join(FAMILIES)}; "
            "push it with the library that wrote it"
        )
    if _has(folder, ITEMS):
        if not _has(folder, INTERACTIONS):
            raise QBert4RecError(f"{folder} has items and no {INTERACTIONS}.parquet; complete it")
        return DOMAIN
    index = folder / "index.json"
    if index.is_file():
        about = read_json(index)
        if isinstance(about, dict) and "modalities" in about:
            return FEATURES
    inside = next((p for p in ("model", "run/model") if (folder / p / "config.json").is_file()), "")
    way_out = f"push {folder / inside}" if inside else "give the path of one of these"
    raise QBert4RecError(
        f"{folder} is no model folder (config.json), domain folder ({ITEMS}.parquet) or feature "
        f"folder (index.json); {way_out}"
    )


def model_type(folder: Path) -> str | None:
    """The family of a folder's model, as its `config.json` says."""
    config = read_json(folder / "config.json")
    return config.get("model_type") if isinstance(config, dict) else None


def card_for(folder: Path, kind: FolderKind, repo_id: str) -> dict[str, bytes]:
    """The card of a folder with snippets that open the repository, where it has one.

    Returns:
        File name -> content, for what `plan.plan_upload` replaces.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        return {}
    card = path.read_text(encoding="utf-8", errors="replace")
    address = kind.address_in_card(card)
    if address is None:
        return {}
    for opener in _OPENERS:
        card = card.replace(f"{opener}{address}", f"{opener}{json.dumps(repo_id)}")
    return {CARD_FILE: card.encode()}


def _has(folder: Path, table: str) -> bool:
    forms = (f"{table}.parquet", f"{table}-*.parquet", f"{table}/*.parquet")
    return any(next(folder.glob(form), None) for form in forms)
