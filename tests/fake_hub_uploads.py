"""The routes of the fake Hub by which files come in: checks, large files, commits."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import yaml
from fake_hub_replies import PREFIXES, Refusal, Reply, commit_of, front_matter, repository_of
from fake_hub_repositories import Blob, is_ignored, is_large

if TYPE_CHECKING:
    from fake_hub import FakeHub, Request


def validate_yaml(hub: FakeHub, request: Request) -> Reply:
    try:
        found = front_matter(json.loads(request.body)["content"].encode())
    except yaml.YAMLError as error:
        return Reply(400, {"errors": [{"message": str(error)}], "warnings": []})
    if found is not None and not isinstance(found, dict):
        message = '"metadata" must be of type object'
        return Reply(400, {"errors": [{"message": message}], "warnings": []})
    empty = [] if found else [{"message": "empty or missing yaml metadata in repo card"}]
    return Reply(200, {"errors": [], "warnings": empty})


def preupload(hub: FakeHub, request: Request, kind: str, repo: str, revision: str) -> Reply:
    pull_request = "create_pr" in request.query
    repository = repository_of(hub, request, kind, repo, write=not pull_request)
    there = commit_of(repository, revision).files
    asked = json.loads(request.body)
    gitignore = asked.get("gitIgnore")
    if gitignore is None:
        gitignore = there.get(".gitignore", Blob(b"")).content.decode()
    found = []
    for file in asked["files"]:
        path = file["path"]
        about = {"path": path, "shouldIgnore": is_ignored(path, gitignore)}
        about["uploadMode"] = "lfs" if is_large(path, file["size"]) else "regular"
        if path in there:
            about["oid"] = there[path].etag
        found.append(about)
    return Reply(200, {"files": found})


def lfs_batch(hub: FakeHub, request: Request, kind: str, repo: str) -> Reply:
    repository = repository_of(hub, request, kind, repo)
    if request.user is None:
        raise Refusal(401, "", "Invalid username or password.")
    found = []
    for wanted in json.loads(request.body)["objects"]:
        about = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] not in repository.objects:
            place = f"{repository.repo_type}/{repo}/{wanted['oid']}"
            about["actions"] = {
                "upload": {"href": f"{hub.url}/lfs/{place}"},
                "verify": {"href": f"{hub.url}/lfs-verify/{place}"},
            }
        found.append(about)
    return Reply(200, {"transfer": "basic", "objects": found})


def lfs_upload(hub: FakeHub, request: Request, kind: str, repo: str, oid: str) -> Reply:
    # The address is signed: it needs no token.
    if Blob(request.body).sha256 != oid:
        return Reply(400, {"error": "the content has another hash"})
    hub.repositories[kind, repo].objects[oid] = request.body
    return Reply(200)


def lfs_verify(hub: FakeHub, request: Request, kind: str, repo: str, oid: str) -> Reply:
    there = oid in hub.repositories[kind, repo].objects
    return Reply(200 if there else 404, {"success": there})


def make_commit(hub: FakeHub, request: Request, kind: str, repo: str, revision: str) -> Reply:
    pull_request = "create_pr" in request.query
    repository = repository_of(hub, request, kind, repo, write=not pull_request)
    if request.user is None:
        raise Refusal(401, "", "Invalid username or password.")
    parent = commit_of(repository, revision)
    files = dict(parent.files)
    header = {"summary": ""}
    for line in request.body.splitlines():
        operation = json.loads(line)
        key, value = operation["key"], operation["value"]
        if key == "header":
            header = value
            if not parent.id.startswith(value.get("parentCommit") or ""):
                raise Refusal(412, "", "A commit has happened since. Please refresh and try again.")
        elif key == "file":
            files[value["path"]] = Blob(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if value["oid"] not in repository.objects:
                raise Refusal(
                    400, "", f"LFS pointer pointed to a file that does not exist: {value}"
                )
            files[value["path"]] = Blob(repository.objects[value["oid"]], lfs=True)
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise Refusal(404, "EntryNotFound", "A file with this name doesn't exist")
        elif key == "deletedFolder":
            below = value["path"].rstrip("/") + "/"
            files = {path: blob for path, blob in files.items() if not path.startswith(below)}
    place = f"{hub.url}/{PREFIXES[repository.repo_type]}{repo}"
    found: dict[str, Any] = {"success": True}
    if pull_request:
        name, made = repository.open_pull_request(header["summary"], files)
        found["pullRequestUrl"] = f"{place}/discussions/{name.rpartition('/')[2]}"
    else:
        made = repository.commit(revision, header["summary"], files)
    return Reply(200, {**found, "commitOid": made.id, "commitUrl": f"{place}/commit/{made.id}"})
