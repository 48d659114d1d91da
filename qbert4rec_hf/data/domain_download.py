"""A domain of the Hub: its tables, then the images that they name, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from ..columns import IMAGES, ITEMS
from ..errors import QBert4RecError
from ..hub_files.download import find_folder, is_repo_id
from ..hub_files.folders import DOMAIN
from .tables import check_items, find_tables, is_url, read_tables


def find_domain_folder(domain: str | os.PathLike, **hub_arguments: Any) -> Path:
    """The local folder of a domain, downloaded from the Hub unless it is a folder already.

    Args:
        domain: folder, or id of a dataset repository.
        hub_arguments: `revision`, `token`, `cache_dir`, `local_files_only` and `force_download`, as
            in `huggingface_hub.snapshot_download`.

    Raises:
        QBert4RecError: neither a folder nor a repository that can be reached, or one that holds no
            domain.
    """
    if not Path(domain).is_dir() and not is_repo_id(str(domain)):
        raise QBert4RecError(
            f"{domain} is not a folder; give the path of a domain folder, or the id of a dataset "
            "repository (OWNER/NAME)"
        )
    arguments = {**hub_arguments, "repo_type": "dataset"}
    folder = find_folder(domain, DOMAIN.wanted, **arguments)
    if folder == Path(domain):
        return folder
    find_tables(folder, ITEMS)
    images = _image_patterns(folder)
    if not images:
        return folder
    # The same commit, even if the branch has moved meanwhile.
    return find_folder(domain, images, **{**arguments, "revision": folder.name})


def _image_patterns(folder: Path) -> list[str]:
    """Patterns that find the images of a domain's items: the folders that hold them, or names."""
    found = set()
    for images in check_items(read_tables(folder, ITEMS))[IMAGES]:
        for image in images:
            if not is_url(image):
                first, *rest = PurePosixPath(image).parts
                found.add(f"{first}/*" if rest else first)
    return sorted(found)
