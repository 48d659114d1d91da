"""The routes of the fake Hub: a request and the Hub's state in, a reply out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from fake_hub_replies import (
    PREFIXES,
    Refusal,
    Reply,
    commit_of,
    front_matter,
    repository_of,
)
from fake_hub_repositories import Blob, Repository
from fake_hub_uploads import (
    lfs_batch,
    lfs_upload,
    lfs_verify,
    make_commit,
    preupload,
    validate_yaml,
)

if TYPE_CHECKING:
    from fake_hub import FakeHub, Request


def answer(hub: FakeHub, request: Request) -> Reply:
    """Finds the route of a request and follows it."""
    for methods, pattern, function in ROUTES:
        match = re.fullmatch(pattern, request.path)
        if match and request.method in methods:
            try:
                parts = {name: unquote(value or "") for name, value in match.groupdict().items()}
                return function(hub, request, **parts)
            except Refusal as refusal:
                return refusal.reply
    return Reply(404, {"error": f"the fake Hub has no route {request.method} {request.path}"})


# -- who asks, and what there is -------------------------------------------------------------------


def whoami(hub: FakeHub, request: Request) -> Reply:
    if request.user is None:
        raise Refusal(401, "", "Invalid username or password.")
    role = "write" if request.user == "tester" else "read"
    orgs = [{"name": "shop"}] if request.user == "tester" else []
    access = {"accessToken": {"displayName": "test", "role": role}}
    return Reply(200, {"type": "user", "name": request.user, "orgs": orgs, "auth": access})


# -- repositories and their refs -------------------------------------------------------------------


def create_repo(hub: FakeHub, request: Request) -> Reply:
    asked = json.loads(request.body)
    if request.user is None:
        raise Refusal(401, "", "Invalid username or password.")
    repo_id = f"{asked.get('organization') or request.user}/{asked['name']}"
    repo_type = asked.get("type") or "model"
    if not hub.may_write(request.user, repo_id):
        raise Refusal(403, "", f"You don't have the rights to create a {repo_type} under {repo_id}")
    about = {"url": f"{hub.url}/{PREFIXES[repo_type]}{repo_id}", "name": repo_id, "id": repo_id}
    if (repo_type, repo_id) in hub.repositories:
        return Reply(409, {"error": f"You already created this {repo_type} repo", **about})
    # Clients before 1.3 say `private`, later ones `visibility`.
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    hub.repositories[repo_type, repo_id] = Repository(repo_id, repo_type, private)
    return Reply(200, about)


def delete_repo(hub: FakeHub, request: Request) -> Reply:
    asked = json.loads(request.body)
    repo_id = f"{asked.get('organization') or request.user}/{asked['name']}"
    repository = repository_of(hub, request, asked.get("type") or "", repo_id, write=True)
    del hub.repositories[repository.repo_type, repo_id]
    return Reply(200)


def info(hub: FakeHub, request: Request, kind: str, repo: str, revision: str = "") -> Reply:
    repository = repository_of(hub, request, kind, repo)
    commit = commit_of(repository, revision)
    card = front_matter(commit.files.get("README.md", Blob(b"")).content)
    card = card if isinstance(card, dict) else {}
    about = {
        "_id": commit.id[:24],
        "id": repo,
        "author": repo.split("/")[0],
        "sha": commit.id,
        "lastModified": "2025-01-01T00:00:00.000Z",
        "createdAt": "2025-01-01T00:00:00.000Z",
        "private": repository.private,
        "gated": "manual" if repository.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": list(card.get("tags") or []),
        "cardData": card,
        "siblings": [
            {"rfilename": path, **({"size": len(blob.content)} if "blobs" in request.query else {})}
            for path, blob in sorted(commit.files.items())
        ],
    }
    if repository.repo_type == "model":
        about |= {"modelId": repo, "library_name": card.get("library_name")}
        about |= {"pipeline_tag": card.get("pipeline_tag")}
    return Reply(200, about)


def refs(hub: FakeHub, request: Request, kind: str, repo: str) -> Reply:
    repository = repository_of(hub, request, kind, repo)

    def listed(names: dict[str, str], prefix: str) -> list[dict[str, str]]:
        return [
            {"name": name.rpartition("refs/pr/")[2], "ref": prefix + name, "targetCommit": commit}
            for name, commit in names.items()
        ]

    found = {
        "branches": listed(repository.branches, "refs/heads/"),
        "tags": listed(repository.tags, "refs/tags/"),
        "converts": [],
    }
    if "include_prs" in request.query:
        found["pullRequests"] = listed(repository.pull_requests, "")
    return Reply(200, found)


def branch(hub: FakeHub, request: Request, kind: str, repo: str, name: str) -> Reply:
    repository = repository_of(hub, request, kind, repo, write=True)
    if request.method == "DELETE":
        if name == "main" or name not in repository.branches:
            raise Refusal(403, "", f"cannot delete {name}")
        del repository.branches[name]
        return Reply(200)
    if name in repository.branches:
        raise Refusal(409, "", f"Reference already exists: {name}")
    start = json.loads(request.body or b"{}").get("startingPoint") or "main"
    repository.branches[name] = commit_of(repository, start).id
    return Reply(201)


def tag(hub: FakeHub, request: Request, kind: str, repo: str, name: str) -> Reply:
    repository = repository_of(hub, request, kind, repo, write=True)
    if request.method == "DELETE":
        if repository.tags.pop(name, None) is None:
            raise Refusal(404, "RevisionNotFound", f"no tag {name}")
        return Reply(200)
    new = json.loads(request.body)["tag"]
    if new in repository.tags:
        raise Refusal(409, "", f"Tag already exists: {new}")
    repository.tags[new] = commit_of(repository, name).id
    return Reply(201)


def commits(hub: FakeHub, request: Request, kind: str, repo: str, revision: str) -> Reply:
    repository = repository_of(hub, request, kind, repo)
    commit_of(repository, revision)
    about = {"authors": [{"user": "tester"}], "date": "2025-01-01T00:00:00.000Z", "message": ""}
    found = repository.history(revision)
    return Reply(200, [{"id": made.id, "title": made.message, **about} for made in found])


# -- files -----------------------------------------------------------------------------------------


def entry(path: str, blob: Blob) -> dict[str, Any]:
    found = {"type": "file", "oid": blob.git_id, "size": len(blob.content), "path": path}
    if blob.lfs:
        size = {"size": len(blob.content), "pointerSize": len(blob.pointer)}
        found["lfs"] = {"oid": blob.sha256, **size}
    return found


def entries(files: dict[str, Blob]) -> dict[str, dict[str, Any]]:
    """All files and folders by path."""
    found = {path: entry(path, blob) for path, blob in files.items()}
    for path in files:
        parents = path.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            folder = "/".join(parents[:depth])
            about = {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}
            found.setdefault(folder, about)
    return dict(sorted(found.items()))


def tree(
    hub: FakeHub, request: Request, kind: str, repo: str, revision: str, path: str = ""
) -> Reply:
    commit = commit_of(repository_of(hub, request, kind, repo), revision)
    every = entries(commit.files)
    if path and every.get(path, {}).get("type") != "directory":
        raise Refusal(404, "EntryNotFound", f"{path} does not exist on {revision}")
    below = f"{path}/" if path else ""
    found = [about for name, about in every.items() if name.startswith(below)]
    if request.query.get("recursive", "").lower() != "true":
        found = [about for about in found if "/" not in about["path"][len(below) :]]
    start = int(request.query.get("cursor", 0))
    headers = {}
    if start + hub.page_size < len(found):
        cursor = f"{request.path}?recursive={request.query.get('recursive', 'False')}"
        next_page = f"{hub.url}{cursor}&cursor={start + hub.page_size}"
        headers["Link"] = f'<{next_page}>; rel="next"'
    return Reply(200, found[start : start + hub.page_size], headers)


def paths_info(hub: FakeHub, request: Request, kind: str, repo: str, revision: str) -> Reply:
    commit = commit_of(repository_of(hub, request, kind, repo), revision)
    if "json" in request.headers.get("Content-Type", ""):
        paths = json.loads(request.body)["paths"]
    else:
        paths = parse_qs(request.body.decode()).get("paths", [])
    every = entries(commit.files)
    return Reply(200, [every[path] for path in paths if path in every])


def resolve(
    hub: FakeHub, request: Request, kind: str, repo: str, revision: str, path: str
) -> Reply:
    repository = repository_of(hub, request, kind, repo)
    if repository.gated and not hub.may_write(request.user, repo):
        message = f"Access to {repository.repo_type} {repo} is restricted."
        raise Refusal(401 if request.user is None else 403, "GatedRepo", message)
    commit = commit_of(repository, revision)
    if path not in commit.files:
        raise Refusal(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit.id)
    blob = commit.files[path]
    headers = {
        "ETag": f'"{blob.etag}"',
        "X-Repo-Commit": commit.id,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if blob.lfs:
        headers |= {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.content))}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    size = len(blob.content)
    if asked is None or request.method == "HEAD":
        return Reply(200, blob.content, headers)
    first, last = asked.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1 if first and last else size)
    if start >= size:
        return Reply(416, b"", {"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Reply(206, blob.content[start:stop], headers)


_API = r"/api/(?P<kind>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)"
_PLACE = r"/(?P<kind>datasets/|spaces/)?(?P<repo>[^/]+/[^/]+)"
_OBJECT = r"(?P<kind>model|dataset|space)/(?P<repo>[^/]+/[^/]+)/(?P<oid>[0-9a-f]+)"
ROUTES: list[tuple[tuple[str, ...], str, Callable[..., Reply]]] = [
    (("GET",), "/api/whoami-v2", whoami),
    (("POST",), "/api/repos/create", create_repo),
    (("DELETE",), "/api/repos/delete", delete_repo),
    (("POST",), "/api/validate-yaml", validate_yaml),
    (("GET",), _API, info),
    (("GET",), _API + "/revision/(?P<revision>[^/]+)", info),
    (("GET",), _API + "/refs", refs),
    (("POST", "DELETE"), _API + "/branch/(?P<name>[^/]+)", branch),
    (("POST", "DELETE"), _API + "/tag/(?P<name>[^/]+)", tag),
    (("GET",), _API + "/commits/(?P<revision>[^/]+)", commits),
    (("GET",), _API + "/tree/(?P<revision>[^/]+)(/(?P<path>.+))?", tree),
    (("POST",), _API + "/paths-info/(?P<revision>[^/]+)", paths_info),
    (("POST",), _API + "/preupload/(?P<revision>[^/]+)", preupload),
    (("POST",), _API + "/commit/(?P<revision>[^/]+)", make_commit),
    (("HEAD", "GET"), _PLACE + "/resolve/(?P<revision>[^/]+)/(?P<path>.+)", resolve),
    (("POST",), _PLACE + r"\.git/info/lfs/objects/batch", lfs_batch),
    (("PUT",), "/lfs/" + _OBJECT, lfs_upload),
    (("POST",), "/lfs-verify/" + _OBJECT, lfs_verify),
]
