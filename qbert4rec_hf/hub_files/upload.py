"""Uploading a folder to a repository of the Hub: only what changed, and nothing that is private."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers.utils import logging

from ..errors import QBert4RecError
from .errors import explained
from .plan import LocalFile, UploadPlan, hub_api

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.get_logger(__name__)

# Files of a commit, and bytes of those that travel inside it; more are sent in several commits.
COMMIT_FILES = 500
COMMIT_BYTES = 100_000_000
# What the Hub takes outside the commit, whatever its size.
_OUTSIDE = (".safetensors", ".parquet", ".arrow")
# Tables, weights and settings; all other files are pictures and the like, which these name.
_LAST = (".json", ".md", ".py", ".txt", *_OUTSIDE)


@dataclass(frozen=True)
class Upload:
    """What an upload did.

    Args:
        plan: files and deletions.
        url: of the commit or the pull request; of the repository where nothing changed.
        nothing_changed: the repository held everything already.
    """

    plan: UploadPlan
    url: str
    nothing_changed: bool = False


def upload(
    plan: UploadPlan,
    *,
    private: bool | None = None,
    create_pr: bool = False,
    message: str | None = None,
    token: str | bool | None = None,
) -> Upload:
    """Carries out a plan.

    One commit holds everything, so that nobody downloads half of it; only folders with very many
    files take several, the tables and weights in the last. An upload that was interrupted goes on
    when it is planned and made again: what has arrived is not sent twice.

    Args:
        plan: from `plan.plan_upload`.
        private: for a new repository.
        create_pr: open a pull request instead of writing to the branch.
        message: of the commit.
        token: of the Hub.

    Raises:
        QBert4RecError: the Hub refuses or cannot be reached, or the repository exists and is
            public where `private` was asked for.
    """
    if create_pr and plan.revision is not None:
        raise QBert4RecError(
            f"a pull request is made against the main branch; give create_pr or revision "
            f"{plan.revision!r}, not both"
        )
    api = hub_api(token)
    about = {"repo_id": plan.repo_id, "repo_type": plan.repo_type}
    with explained(**about, revision=plan.revision, doing="push", token=token):
        if plan.parent is None:
            api.create_repo(**about, private=private, exist_ok=True)
        elif private and not api.repo_info(**about).private:
            raise QBert4RecError(
                f"the {plan.repo_type} repository {plan.repo_id} exists already and is public; "
                "make it private on its settings page first, or push to another name"
            )
        if plan.new_branch and plan.revision not in (None, "main"):
            api.create_branch(**about, branch=plan.revision, exist_ok=True)
        if not plan.changed and not plan.deleted:
            prefix = "" if plan.repo_type == "model" else f"{plan.repo_type}s/"
            return Upload(plan, f"{api.endpoint}/{prefix}{plan.repo_id}", nothing_changed=True)
        return Upload(plan, _commit(api, plan, create_pr, message or f"Upload {plan.repo_id}"))


def _commit(api: HfApi, plan: UploadPlan, create_pr: bool, message: str) -> str:
    """Makes the commits of a plan and returns the address of the last one, or of the request."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    batches = list(_batches(plan.changed))
    revision, parent, url = plan.revision, None if create_pr else plan.parent, ""
    pull_request = None
    for number, batch in enumerate(batches, start=1):
        operations: list[Any] = [CommitOperationAdd(file.path, file.source) for file in batch]
        if number == len(batches):
            operations += [CommitOperationDelete(path) for path in plan.deleted]
        part = f" (part {number} of {len(batches)})" if len(batches) > 1 else ""
        with warnings.catch_warnings():
            # The catalogue of a model is a Parquet file, and meant to be.
            warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
            made = api.create_commit(
                repo_id=plan.repo_id,
                repo_type=plan.repo_type,
                operations=operations,
                commit_message=message + part,
                revision=revision,
                create_pr=create_pr and pull_request is None,
                parent_commit=parent,
            )
        if create_pr and pull_request is None:
            pull_request, revision = made.pr_url, made.pr_revision
        parent, url = made.oid, str(made)
        if part:
            logger.info("committed %d files to %s%s", len(batch), plan.repo_id, part)
    return pull_request or url


def _batches(files: Sequence[LocalFile]) -> Iterator[list[LocalFile]]:
    """Files in groups that fit into a commit; what everything else hangs on comes last.

    Few files, as those of a model, are one group.
    """
    if len(files) <= COMMIT_FILES and sum(f.size for f in files if not _apart(f)) <= COMMIT_BYTES:
        yield list(files)
        return
    last = [file for file in files if file.path.endswith(_LAST)]
    for part in ([file for file in files if not file.path.endswith(_LAST)], last):
        batch: list[LocalFile] = []
        size = 0
        for file in part:
            weight = 0 if _apart(file) else file.size
            if batch and (len(batch) >= COMMIT_FILES or size + weight > COMMIT_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(file)
            size += weight
        if batch:
            yield batch


def _apart(file: LocalFile) -> bool:
    return file.path.endswith(_OUTSIDE)
