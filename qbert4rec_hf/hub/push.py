"""Pushing what this package writes: model folders, domain folders and feature folders."""

from __future__ import annotations

import os
from pathlib import Path

from ..columns import CATALOG_INFO_FILE
from ..data.domain_info import read_domain_info
from ..errors import QBert4RecError
from ..hub_files.folders import DOMAIN, MODEL, FolderKind, kind_of
from ..hub_files.plan import UploadPlan, check_repo_id, plan_folder, unknown_plan
from ..hub_files.upload import Upload, upload
from ..ranking.model_folder_checks import check_parts, check_weights


def plan_push(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    repo_type: str | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    must_compare: bool = True,
) -> UploadPlan:
    """What `push` would do.

    Args:
        folder, repo_id, repo_type, revision, token: as for `push`.
        must_compare: whether it is an error that the repository cannot be asked for what it holds
            already; otherwise every file counts as new and the plan says why.

    Raises:
        QBert4RecError: as `push`.
    """
    check_repo_id(repo_id)
    folder = Path(folder)
    kind = kind_of(folder)
    if repo_type not in (None, kind.repo_type):
        raise QBert4RecError(
            f"{folder} is a {kind.name} and belongs into a {kind.repo_type} repository; use "
            f"--repo-type {kind.repo_type}"
        )
    _check(folder, kind)
    try:
        return plan_folder(folder, repo_id, kind, revision=revision, token=token)
    except QBert4RecError as error:
        if must_compare:
            raise
        return unknown_plan(folder, repo_id, kind, revision=revision, reason=str(error))


def push(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    repo_type: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    message: str | None = None,
    token: str | bool | None = None,
) -> Upload:
    """Uploads a folder to the Hub: what changed, never pickles, nothing twice.

    Args:
        folder: a model folder, or another folder with a model of ours; a domain folder; a feature
            folder.
        repo_id: owner and name; made where it does not exist.
        repo_type: "model" or "dataset"; follows from the folder.
        private: for a new repository.
        revision: branch to write to, made where it does not exist.
        create_pr: open a pull request instead.
        message: of the commit.
        token: of the Hub; by default the one that `hf auth login` stored, or HF_TOKEN.

    Returns:
        What was uploaded, and its address.

    Raises:
        QBert4RecError: a folder that is not ours or whose parts do not belong together, or the Hub
            refuses or cannot be reached. Nothing here changes, and trying again goes on.
    """
    plan = plan_push(folder, repo_id, repo_type=repo_type, revision=revision, token=token)
    return upload(plan, private=private, create_pr=create_pr, message=message, token=token)


def _check(folder: Path, kind: FolderKind) -> None:
    """Raises QBert4RecError for a folder that nobody could open from the Hub."""
    if kind is MODEL:
        check_weights(folder)
        if (folder / CATALOG_INFO_FILE).is_file():
            check_parts(folder)
    elif kind is DOMAIN:
        read_domain_info(folder)
