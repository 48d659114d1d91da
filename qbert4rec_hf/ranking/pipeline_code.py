"""The pipeline's code in a model folder, for machines without this package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..files import read_json, write_json

TASK = "next-item-recommendation"
# What config.json says of the pipeline; its own file says the same, and imports nothing of ours.
ENTRY = {
    "impl": "pipeline_recommendation.NextItemRecommendationPipeline",
    "pt": ["AutoModelForMaskedLM"],
    "type": "text",
}
# Data to this layer: files that are copied and never imported here.
CODE_FILES = tuple(
    Path(__file__).parents[1] / "hub" / name
    for name in ("pipeline_recommendation.py", "pipeline_folder.py", "pipeline_reranker.py")
)


def add_pipeline_code(folder: str | os.PathLike) -> None:
    """Makes `pipeline("next-item-recommendation", model=folder, trust_remote_code=True)` work.

    Args:
        folder: holds the sequence model, its tokenizer and its catalogue; gets the pipeline's code
            and an entry in `config.json`.

    Raises:
        QBert4RecError: the folder holds no `config.json`, or cannot be written to.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    for code in CODE_FILES:
        shutil.copyfile(code, folder / code.name)
    config["custom_pipelines"] = {**config.get("custom_pipelines", {}), TASK: ENTRY}
    write_json(folder / "config.json", config)
