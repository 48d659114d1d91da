"""Whether the files of a model folder belong together, told from small files alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..columns import (
    CATALOG_FILE,
    CATALOG_INFO_FILE,
    FEATURES_FOLDER,
    FUSION_FOLDER,
    QUANTIZER_FOLDER,
    RECOMMENDER_FILE,
)
from ..errors import QBert4RecError
from ..files import inside, read_json

if TYPE_CHECKING:
    from ..semantic_ids.tokenization_semantic_id import QBert4RecTokenizer
    from ..sequence.configuration_qbert4rec import QBert4RecConfig

RECOMMENDER_FORMAT = 1
CONFIG_FORMAT = 1
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX_FILE = "model.safetensors.index.json"
CODER_FAMILIES = {FUSION_FOLDER: "qbert4rec_fusion", QUANTIZER_FOLDER: "qbert4rec_quantizer"}


def check_family(folder: Path, family: str) -> dict[str, Any]:
    """Reads the configuration of a folder that must hold a model of a family.

    Returns:
        What `config.json` holds.

    Raises:
        QBert4RecError: no `config.json`, another family (its `model_type`), or a later version.
    """
    path = folder / "config.json"
    if not path.exists():
        raise QBert4RecError(f"{folder} holds no config.json; give the path of a model folder")
    config = read_json(path)
    found = config.get("model_type") if isinstance(config, dict) else None
    if found != family:
        raise QBert4RecError(
            f"{folder} holds a model of the family {found!r}, not {family!r}; "
            f"give the path of a {family} model folder"
        )
    check_version(path, config.get("format_version", CONFIG_FORMAT), CONFIG_FORMAT)
    return config


def check_version(path: Path, found: object, known: int) -> None:
    """Raises QBert4RecError for a file of a later format than this package reads."""
    if isinstance(found, bool) or not isinstance(found, int) or found > known:
        raise QBert4RecError(
            f"{path} was written by a newer version of qbert4rec_hf (format {found!r}, this one "
            f"reads up to {known}); update the package"
        )


def read_recommender(folder: Path) -> dict[str, Any]:
    """What `recommender.json` holds; nothing for a folder without one.

    Raises:
        QBert4RecError: it is damaged or of a later version.
    """
    path = folder / RECOMMENDER_FILE
    if not path.exists():
        return {}
    info = read_json(path)
    if not isinstance(info, dict):
        raise QBert4RecError(f"{path} must hold an object, found {info!r}; fetch the folder again")
    check_version(path, info.get("format_version", RECOMMENDER_FORMAT), RECOMMENDER_FORMAT)
    return info


def check_weights(folder: Path) -> None:
    """Checks that a folder holds its weights as safetensors, and inside itself.

    Raises:
        QBert4RecError: there are none, or only pickles, which run code when they are opened.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return
    index = folder / WEIGHTS_INDEX_FILE
    if index.is_file():
        about = read_json(index)
        shards = about.get("weight_map") if isinstance(about, dict) else None
        if not isinstance(shards, dict) or not all(isinstance(v, str) for v in shards.values()):
            raise QBert4RecError(f"{index} does not list weights; fetch the folder again")
        for name in sorted(set(shards.values())):
            path = inside(folder, name, index)
            if not path.is_file() or path.suffix != ".safetensors":
                raise QBert4RecError(f"{path} does not exist or is no safetensors file; {_AGAIN}")
        return
    pickles = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if pickles:
        raise QBert4RecError(
            f"{folder} holds its weights as a pickle only ({pickles[0]}), which could run code "
            f"when it is opened; save the model again, as {WEIGHTS_FILE}"
        )
    raise QBert4RecError(f"{folder} holds no {WEIGHTS_FILE}; {_AGAIN}")


_AGAIN = "fetch or train it again"


def coder_folders(folder: Path) -> dict[str, Path] | None:
    """The folders of encoders, fusion and quantizer; None where a model has none of them.

    Raises:
        QBert4RecError: some are missing, or hold another family.
    """
    parts = {name: folder / name for name in (FEATURES_FOLDER, *CODER_FAMILIES)}
    present = [path.is_dir() for path in parts.values()]
    if not any(present):
        return None
    if not all(present):
        missing = [*parts.values()][present.index(False)]
        raise QBert4RecError(f"{missing} does not exist; copy or push the whole model folder")
    for name, family in CODER_FAMILIES.items():
        check_family(parts[name], family)
        check_weights(parts[name])
    return parts


def check_parts(folder: Path) -> None:
    """Checks that sequence model, tokenizer, catalogue and coder are there and fit.

    Raises:
        QBert4RecError: names the file that is missing or does not fit.
    """
    config = check_family(folder, "qbert4rec")
    read_recommender(folder)
    check_weights(folder)
    if not (folder / CATALOG_FILE).is_file():
        raise QBert4RecError(f"{folder / CATALOG_FILE} does not exist; copy the whole folder")
    catalog = read_json(folder / CATALOG_INFO_FILE)
    fingerprint = catalog.get("fingerprint") if isinstance(catalog, dict) else None
    if fingerprint != config.get("catalog_fingerprint"):
        raise QBert4RecError(
            f"{folder / CATALOG_INFO_FILE} has the fingerprint {fingerprint}, the model was made "
            f"for {config.get('catalog_fingerprint')}; take both from the same run"
        )
    path = folder / "tokenizer_config.json"
    tokenizer = read_json(path)
    sizes = tokenizer.get("codebook_sizes") if isinstance(tokenizer, dict) else None
    check_codebooks(path, sizes, config.get("codebook_sizes"))
    coder_folders(folder)


def check_vocabulary(where: object, tokenizer: QBert4RecTokenizer, config: QBert4RecConfig) -> None:
    """Checks that a tokenizer numbers tokens as its model does.

    Raises:
        QBert4RecError: other codebooks, or a vocabulary in another order.
    """
    from ..semantic_ids.tokenization_semantic_id import level_name

    check_codebooks(where, tokenizer.codebook_sizes, config.codebook_sizes)
    specials = {"pad": "pad_token_id", "mask": "mask_token_id", "unk": "unk_token_id"}
    expected = {f"[{name.upper()}]": getattr(config, field) for name, field in specials.items()}
    for level, (size, offset) in enumerate(
        zip(config.codebook_sizes, config.level_offsets, strict=True)
    ):
        letter = level_name(level)
        expected |= {f"<{letter}_0>": offset, f"<{letter}_{size - 1}>": offset + size - 1}
    vocabulary = tokenizer.get_vocab()
    for token, number in expected.items():
        if vocabulary.get(token) != number:
            raise QBert4RecError(
                f"{where}: the tokenizer numbers {token} {vocabulary.get(token)}, the model "
                f"{number}, so their vocabularies differ; take both from the same run"
            )


def check_codebooks(where: object, tokenizer: object, model: object) -> None:
    """Raises QBert4RecError unless a tokenizer has the codebooks of its model."""
    if tokenizer != model:
        raise QBert4RecError(
            f"{where}: the tokenizer has codebooks {tokenizer}, the model {model}, so their "
            "vocabularies differ; take both from the same run"
        )
