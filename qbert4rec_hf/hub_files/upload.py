"""Uploading a folder to a repository of the Hub: only what changed, and nothing that is private."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.utils import logging

from .errors import QBert4RecError
from .hub_download import PICKLES, is_repo_id
from .hub_errors import explained
from .hub_folders import FolderKind, card_for

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.get_logger(__name__)

# Pattern of a file's name or of a folder above it -> why it stays here.
LEFT_OUT = {
    ".*": "hidden",
    **dict.fromkeys(PICKLES, "a pickle, which runs code when it is opened"),
    "stage.json": "of the run that made the folder",
    "checkpoints": "of a training",
    "checkpoint-*": "of a training",
    "last-checkpoint": "of a training",
    "*.partial": "unfinished",
    "*.incomplete": "unfinished",
    "*.lock": "unfinished",
    "__pycache__": "a cache",
}
# Files of a commit, and bytes of those that travel inside it; more are sent in several commits.
COMMIT_FILES = 500
COMMIT_BYTES = 100_000_000
# What the Hub takes outside the commit, whatever its size.
_OUTSIDE = (".safetensors", ".parquet", ".arrow")
# Tables, weights and settings; all other files are pictures and the like, which these name.
_LAST = (".json", ".md", ".py", ".txt", *_OUTSIDE)


@dataclass(frozen=True)
class LocalFile:
    """A file that belongs into the repository.

    Args:
        path: in the repository.
        source: the file, or its content where that differs from the file here.
        size: in bytes.
    """

    path: str
    source: Path | bytes
    size: int

    def same_as(self, remote: Any) -> bool:
        """Whether a file of the Hub (`huggingface_hub.RepoFile`) has the same content."""
        if remote is None or remote.size != self.size:
            return False
        if remote.lfs is not None:
            return self._digest(hashlib.sha256()) == remote.lfs.sha256
        # The hash of git, over a header and the content.
        return self._digest(hashlib.sha1(b"blob %d\0" % self.size)) == remote.blob_id

    def _digest(self, digest: Any) -> str:
        if isinstance(self.source, bytes):
            digest.update(self.source)
        else:
            with self.source.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True)
class UploadPlan:
    """What an upload would do.

    Args:
        repo_id: the repository.
        repo_type: "model" or "dataset".
        changed: files that are new or differ.
        unchanged: files that are there already.
        deleted: paths in the repository that are no longer part of what is uploaded.
        left_out: path here -> why it is never uploaded.
        revision: branch to write to; None for the main one.
        parent: commit that the comparison was made with; None for a new repository.
        new_branch: the branch does not exist yet.
        unknown: why the repository could not be compared with; then everything counts as changed.
    """

    repo_id: str
    repo_type: str
    changed: list[LocalFile]
    unchanged: list[LocalFile] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    revision: str | None = None
    parent: str | None = None
    new_branch: bool = False
    unknown: str | None = None

    @property
    def size(self) -> int:
        """Bytes that would be sent."""
        return sum(file.size for file in self.changed)


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


def local_files(
    folder: str | os.PathLike, replaced: Mapping[str, bytes] | None = None
) -> tuple[list[LocalFile], dict[str, str]]:
    """The files of a folder that may be uploaded, and why others may not.

    Args:
        folder: what is uploaded.
        replaced: other contents for some files.

    Returns:
        Files by path, and path -> reason.
    """
    folder = Path(folder)
    found, left_out = [], {}
    for root, names, files in os.walk(folder):
        place = Path(root).relative_to(folder)
        for name in [*names]:
            reason = _reason(name)
            if (folder / place / name).is_symlink():
                reason = "a link to a folder"
            if reason:
                left_out[(place / name).as_posix() + "/"] = reason
                names.remove(name)
        for name in files:
            path = (place / name).as_posix()
            source = folder / path
            if reason := _reason(name) or _leads_away(source, folder):
                left_out[path] = reason
            elif replaced and path in replaced:
                found.append(LocalFile(path, replaced[path], len(replaced[path])))
            else:
                found.append(LocalFile(path, source, source.stat().st_size))
    return sorted(found, key=lambda file: file.path), dict(sorted(left_out.items()))


def check_repo_id(repo_id: str) -> None:
    """Raises QBert4RecError for what cannot be the name of a repository to write to."""
    if not (is_repo_id(repo_id) and "/" in repo_id):
        raise QBert4RecError(f"{repo_id!r} is no repository id; write OWNER/NAME")


def _reason(name: str) -> str | None:
    return next((why for pattern, why in LEFT_OUT.items() if fnmatch.fnmatch(name, pattern)), None)


def _leads_away(file: Path, folder: Path) -> str | None:
    """Why a link is not followed: a folder of somebody else's must not send out other files."""
    if not file.is_symlink():
        return None
    if not file.is_file():
        return "a link that leads nowhere"
    root = folder.resolve()
    if file.resolve().is_relative_to(root):
        return None
    # A download in the Hub's cache is links to the contents beside it.
    target = Path(os.path.normpath(file.parent.resolve() / os.readlink(file)))
    if root.parent.name == "snapshots" and target.parent == root.parents[1] / "blobs":
        return None
    return "a link to a file outside the folder"


def plan_upload(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    repo_type: str = "model",
    revision: str | None = None,
    ours: Sequence[str] = (),
    replaced: Mapping[str, bytes] | None = None,
    token: str | bool | None = None,
) -> UploadPlan:
    """Compares a folder with a repository, which need not exist.

    Args:
        folder: what is uploaded.
        repo_id: owner and name.
        repo_type: "model" or "dataset".
        revision: branch; one that does not exist is compared as a copy of the main branch.
        ours: patterns of files in the repository that belong to such a folder: those that are not
            here any more are deleted there. Others, such as a LICENSE, stay.
        replaced: other contents for some files.
        token: of the Hub.

    Raises:
        QBert4RecError: no repository id, a file that cannot be read, or a Hub that cannot be asked.
    """
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    check_repo_id(repo_id)
    files, left_out = local_files(folder, replaced)
    api = _api(token)
    about = {"repo_id": repo_id, "repo_type": repo_type}
    new_branch = False
    with explained(**about, revision=revision, doing="push", token=token):
        try:
            try:
                parent = api.repo_info(**about, revision=revision).sha
            except RevisionNotFoundError:
                if revision is None or revision.startswith("refs/"):
                    raise
                parent, new_branch = api.repo_info(**about).sha, True
            there = api.list_repo_tree(**about, revision=parent, recursive=True)
            remote = {entry.path: entry for entry in there if hasattr(entry, "blob_id")}
        except RepositoryNotFoundError:
            # Not there yet, or hidden from us: making it will tell.
            return UploadPlan(
                repo_id, repo_type, files, left_out=left_out, revision=revision, new_branch=True
            )
        changed, unchanged = [], []
        for file in files:
            (unchanged if file.same_as(remote.get(file.path)) else changed).append(file)
    here = {file.path for file in files}
    gone = [path for path in remote if path not in here]
    deleted = [path for path in gone if any(fnmatch.fnmatch(path, pattern) for pattern in ours)]
    return UploadPlan(
        repo_id, repo_type, changed, unchanged, deleted, left_out, revision, parent, new_branch
    )


def plan_folder(
    folder: str | os.PathLike,
    repo_id: str,
    kind: FolderKind,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
) -> UploadPlan:
    """`plan_upload` of one of our folders, its card opening the repository."""
    return plan_upload(
        folder,
        repo_id,
        repo_type=kind.repo_type,
        revision=revision,
        ours=kind.ours,
        replaced=card_for(Path(folder), kind, repo_id),
        token=token,
    )


def unknown_plan(
    folder: str | os.PathLike,
    repo_id: str,
    kind: FolderKind,
    *,
    revision: str | None = None,
    reason: str,
) -> UploadPlan:
    """The plan for a repository that could not be asked: every file counts as new."""
    files, left_out = local_files(folder, card_for(Path(folder), kind, repo_id))
    return UploadPlan(
        repo_id, kind.repo_type, files, left_out=left_out, revision=revision, unknown=reason
    )


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
        plan: from `plan_upload`.
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
    api = _api(token)
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


def _api(token: str | bool | None) -> HfApi:
    from huggingface_hub import HfApi

    from . import __version__

    return HfApi(token=token, library_name="qbert4rec_hf", library_version=__version__)
