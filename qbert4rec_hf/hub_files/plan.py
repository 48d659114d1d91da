"""What an upload to a repository of the Hub would do: which files are new, gone or kept back."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import QBert4RecError
from ..files import lies_inside
from .download import PICKLES, is_repo_id
from .errors import explained
from .folders import FolderKind, card_for

if TYPE_CHECKING:
    from huggingface_hub import HfApi

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
    return None if lies_inside(file, folder) else "a link to a file outside the folder"


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
    api = hub_api(token)
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


def hub_api(token: str | bool | None) -> HfApi:
    """The Hub's client, with a name that the Hub can tell."""
    from huggingface_hub import HfApi

    from .. import __version__

    return HfApi(token=token, library_name="qbert4rec_hf", library_version=__version__)
