"""Data sets of the Hugging Face Hub as files to read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm.auto import tqdm

from ...errors import QBert4RecError
from ...files import make_folder

HUB = "hub:"
_BATCH = 1_000
# What stands before the category in the names of Amazon 2023's configs.
_KIND_OF_CONFIG = re.compile(
    r"^(?:raw_(?:review|meta)|[05]core_(?:rating_only|last_out|timestamp)(?:_w_his)?)_"
)
_AMAZON_2023 = "amazon-reviews-2023"
_AMAZON_2023_URL = "https://huggingface.co/datasets/McAuley-Lab/Amazon-Reviews-2023/resolve/main"


def fetch_dataset(name: str, staging: Path) -> Iterator[tuple[str, Path]]:
    """Fetches a data set of the Hub, row by row, as JSON lines.

    Rows are kept as JSON, so that a column whose type changes from one file of the data set to the
    next is read like any other.

    Args:
        name: `hub:owner/name`, `hub:owner/name:config` or `hub:owner/name:config:split`; an empty
            config is the default one. A local folder may stand in for owner/name. Without a split
            all of them are read: together they are the log.
        staging: a folder for the files.

    Yields:
        `hub:owner/name:config:split` and the file with its rows.

    Raises:
        QBert4RecError: the data set cannot be had; says why and what to do.
    """
    import datasets

    dataset_id, config, split = _parse(name)
    try:
        loaded = datasets.load_dataset(dataset_id, config, split=split, streaming=True)
    except Exception as error:
        raise _cannot_load(name, dataset_id, config, error) from error
    splits = loaded if isinstance(loaded, Mapping) else {split or "all": loaded}
    folder = make_folder(staging / "hub")
    stem = re.sub(r"[^\w.-]+", "-", f"{dataset_id}-{config or 'default'}").strip("-.")
    for split_name, rows in splits.items():
        path = folder / f"{stem}-{split_name}.jsonl.zst"
        label = f"{HUB}{dataset_id}:{config or ''}:{split_name}"
        try:
            _write(rows, path, label)
        # What a loader or its network may raise has no common type.
        except Exception as error:
            path.unlink(missing_ok=True)
            raise _cannot_load(name, dataset_id, config, error) from error
        yield label, path


def _parse(name: str) -> tuple[str, str | None, str | None]:
    parts = name[len(HUB) :].split(":")
    if not parts[0] or len(parts) > 3:
        raise QBert4RecError(
            f"{name} is no data set of the Hub; write hub:owner/name, hub:owner/name:config or "
            "hub:owner/name:config:split"
        )
    config, split = [*(part or None for part in parts[1:]), None, None][:2]
    return parts[0], config, split


def _write(rows: Any, path: Path, label: str) -> None:
    # Pictures and sounds within the data set are neither decoded nor read.
    left_out = {
        column: feature
        for column, feature in (getattr(rows, "features", None) or {}).items()
        if type(feature).__name__ in ("Image", "Audio", "Video")
    }
    for column, feature in left_out.items():
        rows = rows.cast_column(column, type(feature)(decode=False))
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.CompressedOutputStream(file, "zstd") as stream,
        tqdm(desc=label, unit="row", disable=None) as bar,
    ):
        for batch in rows.iter(batch_size=_BATCH):
            columns = [column for column in batch if column not in left_out]
            for values in zip(*(batch[column] for column in columns), strict=True):
                row = dict(zip(columns, values, strict=True))
                stream.write((json.dumps(row, default=_plain) + "\n").encode())
                bar.update()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, bytes):
        return None
    return str(value)


def _cannot_load(
    name: str, dataset_id: str, config: str | None, error: Exception
) -> QBert4RecError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "scripts are no longer supported" in reason:
        message = f"{name} is a loading script, which datasets 4 and later do not run"
        if _AMAZON_2023 in dataset_id.lower():
            category = _KIND_OF_CONFIG.sub("", config or "") or "All_Beauty"
            return QBert4RecError(
                f"{message}; download {_AMAZON_2023_URL}/raw/review_categories/{category}.jsonl "
                f"and {_AMAZON_2023_URL}/raw/meta_categories/meta_{category}.jsonl and give their "
                "paths with --reviews and --metadata"
            )
        return QBert4RecError(f"{message}; download its data files and give their paths")
    return QBert4RecError(
        f"{name} cannot be loaded ({reason}); check the name, the network and whether you may "
        "read it, or download its files and give their paths"
    )
