"""Hit rate and NDCG as a module of `evaluate`: `evaluate.load(hr_ndcg.MODULE_PATH)`.

The folder is also what a Space of that name holds, and evaluate loads from there. Any name for the
owner does, the Space must be called hr_ndcg:

    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo("OWNER/hr_ndcg", repo_type="space", space_sdk="static", exist_ok=True)
    api.upload_folder(
        repo_id="OWNER/hr_ndcg",
        repo_type="space",
        folder_path=MODULE_PATH,
        ignore_patterns="__pycache__/*",
    )
    metric = evaluate.load("OWNER/hr_ndcg")

A private Space needs a login (`hf auth login` or HF_TOKEN). What was loaded once, evaluate finds
again without a network.
"""

from __future__ import annotations

from pathlib import Path

MODULE_PATH = str(Path(__file__).parent)
