"""What the fake Hub stores: repositories with branches, tags and commits, kept in memory."""

from __future__ import annotations

import fnmatch
import hashlib
from dataclasses import dataclass, field

# What the Hub keeps outside git: what its default .gitattributes lists (of what we write), and what
# is large. Smaller binary files of other names go into git as they are.
LFS_SUFFIXES = (".safetensors", ".parquet", ".arrow", ".bin", ".pt", ".pth", ".pkl", ".npy", ".zip")
LFS_FROM_BYTES = 10_000_000


@dataclass(frozen=True)
class Blob:
    """A file's content.

    Args:
        content: its bytes.
        lfs: kept outside git, where git holds a pointer.
    """

    content: bytes
    lfs: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git holds of a file that lies outside it."""
        lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}")
        return "\n".join([*lines, f"size {len(self.content)}", ""]).encode()

    @property
    def git_id(self) -> str:
        """As `git hash-object` gives it."""
        content = self.pointer if self.lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_id


@dataclass(frozen=True)
class Commit:
    """One state of all files.

    Args:
        id: 40 hexadecimal digits.
        message: first line.
        files: all files by path.
        parent: id of the commit before.
    """

    id: str
    message: str
    files: dict[str, Blob]
    parent: str | None = None


@dataclass
class Repository:
    """One repository.

    Args:
        repo_id: owner and name.
        repo_type: "model", "dataset" or "space".
        private: only its owner sees that it exists.
        gated: everyone sees that it exists, its owner alone may download.
    """

    repo_id: str
    repo_type: str = "model"
    private: bool = False
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The Hub begins every repository with its list of what is kept outside git.
        lines = (f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
        files = {".gitattributes": Blob("".join(lines).encode())}
        self.branches["main"] = self._add("initial commit", files, None).id

    def _add(self, message: str, files: dict[str, Blob], parent: str | None) -> Commit:
        parts = [self.repo_type, self.repo_id, message, str(parent), str(len(self.commits))]
        parts += [f"{path} {blob.git_id}" for path, blob in sorted(files.items())]
        commit = Commit(hashlib.sha1("\n".join(parts).encode()).hexdigest(), message, files, parent)
        self.commits[commit.id] = commit
        return commit

    def find(self, revision: str) -> Commit | None:
        """The commit of a branch, tag, pull request ("refs/pr/1") or commit id."""
        for refs in (self.branches, self.tags, self.pull_requests):
            if revision in refs:
                return self.commits[refs[revision]]
        found = [commit for commit in self.commits.values() if commit.id.startswith(revision)]
        return found[0] if len(revision) >= 7 and len(found) == 1 else None

    def commit(self, revision: str, message: str, files: dict[str, Blob]) -> Commit:
        """Makes `files` the new state of a branch or pull request."""
        refs = self.pull_requests if revision in self.pull_requests else self.branches
        made = self._add(message, files, refs[revision])
        refs[revision] = made.id
        return made

    def open_pull_request(self, message: str, files: dict[str, Blob]) -> tuple[str, Commit]:
        """Puts `files` into a new pull request against the main branch."""
        name = f"refs/pr/{len(self.pull_requests) + 1}"
        made = self._add(message, files, self.branches["main"])
        self.pull_requests[name] = made.id
        return name, made

    def history(self, revision: str = "main") -> list[Commit]:
        """Commits of a branch, latest first."""
        found, commit = [], self.find(revision)
        while commit is not None:
            found.append(commit)
            commit = self.commits.get(commit.parent)
        return found


def is_large(path: str, size: int) -> bool:
    """Whether the Hub keeps a file outside git; an empty one never."""
    return size > 0 and (path.endswith(LFS_SUFFIXES) or size >= LFS_FROM_BYTES)


def is_ignored(path: str, gitignore: str) -> bool:
    """Whether a `.gitignore` leaves a file out (patterns without `!`)."""
    for line in gitignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        parts = path.split("/")
        if pattern.endswith("/"):
            if any(fnmatch.fnmatch(part, pattern[:-1]) for part in parts[:-1]):
                return True
        elif any(fnmatch.fnmatch(part, pattern) for part in parts) or fnmatch.fnmatch(
            path, pattern.lstrip("/")
        ):
            return True
    return False
