"""Finding a folder that is named by its path or by the id of a repository of the Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import QBert4RecError
from .errors import explained

# An id is OWNER/NAME, or NAME alone for a few old ones; anything else can only be a path.
_REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
# What may hold a pickle is neither uploaded nor downloaded.
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.joblib")
# What a Trainer that pushes its checkpoints leaves beside the model.
_CHECKPOINTS = ("checkpoint-*/*", "last-checkpoint/*")


def find_folder(
    place: str | os.PathLike,
    files: Sequence[str],
    *,
    repo_type: str = "model",
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Path:
    """The local folder of something: the folder itself, or a download from the Hub.

    Args:
        place: path of a folder, or id of a repository; a folder of that name comes first.
        files: patterns of what is downloaded, the most important one first; "*" matches slashes
            too. Pickles never are.
        repo_type: "model" or "dataset".
        revision: branch, tag or commit; not for a folder.
        token: of the Hub; by default the one that `hf auth login` stored, or HF_TOKEN.
        cache_dir: where downloads are kept.
        local_files_only: take what was downloaded before and do not ask the Hub.
        force_download: download again what is there already.

    Returns:
        The folder. A download is at one commit, even if the branch moves meanwhile.

    Raises:
        QBert4RecError: neither a folder nor a repository that can be reached; the line says why.
    """
    folder = Path(place)
    if folder.is_dir():
        return folder
    name = str(place)
    if not is_repo_id(name):
        raise QBert4RecError(
            f"{name} is neither a folder nor a repository of the Hub (OWNER/NAME); check the name"
        )
    from huggingface_hub import snapshot_download

    with explained(name, repo_type=repo_type, revision=revision, token=token):
        found = snapshot_download(
            name,
            repo_type=repo_type,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
            allow_patterns=list(files),
            ignore_patterns=[*PICKLES, *_CHECKPOINTS],
        )
    folder = Path(found)
    if not folder.is_dir():
        # Nothing fits the patterns.
        raise QBert4RecError(
            f"the {repo_type} repository {name} holds no {files[0]}, so nothing of this package "
            "wrote it; check the name"
        )
    return folder


def is_repo_id(name: str) -> bool:
    """Whether a name could be the id of a repository, by its form alone."""
    return bool(_REPO_ID.fullmatch(name)) and not name.startswith(".") and "/." not in name
