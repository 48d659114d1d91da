"""What the fake Hub answers with, and who may see and change what."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml
from fake_hub_repositories import Commit, Repository

if TYPE_CHECKING:
    from fake_hub import FakeHub, Request

PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}


class Reply:
    """What the Hub answers.

    Args:
        status: of HTTP.
        content: bytes, or anything that JSON can hold.
        headers: further ones.
    """

    def __init__(self, status: int, content: Any = b"", headers: dict[str, str] | None = None):
        self.status = status
        self.headers = dict(headers or {})
        if not isinstance(content, bytes):
            self.headers.setdefault("Content-Type", "application/json")
            content = json.dumps(content).encode()
        self.content = content


class Refusal(Exception):
    """Ends the handling of a request with an error."""

    def __init__(self, status: int, code: str, message: str, **headers: str):
        super().__init__(message)
        known = {"X-Error-Code": code} if code else {}
        known |= {"X-Error-Message": message}
        known |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply = Reply(status, {"error": message}, known)


def repository_of(
    hub: FakeHub, request: Request, kind: str, repo_id: str, *, write: bool = False
) -> Repository:
    """The repository, if the user may see it (and write to it)."""
    repo_type = kind.rstrip("s/") or "model"
    found = hub.repositories.get((repo_type, repo_id))
    hidden = found is not None and found.private and not hub.may_write(request.user, repo_id)
    if found is None or hidden:
        # The Hub does not say which, and to somebody without a token it says 401 for both.
        if request.user is None:
            raise Refusal(401, "RepoNotFound", "Invalid username or password.")
        raise Refusal(404, "RepoNotFound", "Repository not found")
    if write and request.user is None:
        raise Refusal(401, "", "Invalid username or password.")
    if write and not hub.may_write(request.user, repo_id):
        raise Refusal(403, "", f"you have no write access to {repo_id}")
    return found


def commit_of(repository: Repository, revision: str) -> Commit:
    found = repository.find(revision or "main")
    if found is None:
        raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return found


def front_matter(content: bytes) -> dict[str, Any] | None:
    """The metadata of a card; None for a card without any."""
    found = re.match(r"\s*---\r?\n(.*?)\r?\n---\s*(\n|$)", content.decode("utf-8", "replace"), re.S)
    return yaml.safe_load(found[1]) if found else None
