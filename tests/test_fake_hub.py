"""The fake Hub itself, by the real client: what it stores, whom it refuses, how it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fake_hub import DROP
from huggingface_hub import HfApi, get_token, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder

FILES = {
    "README.md": b"---\nlicense: mit\ntags:\n- camp\n---\n# a\n",
    "config.json": b"{}",
    "part/model.safetensors": bytes(range(256)) * 40,
    "part/with space.txt": b"text",
    "empty.parquet": b"",
}


@pytest.fixture
def folder(tmp_path):
    for path, content in FILES.items():
        (tmp_path / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / path).write_bytes(content)
    return tmp_path / "folder"


def test_upload_and_download(hub, folder):
    api = HfApi()
    url = api.create_repo("tester/a")
    assert api.create_repo("tester/a", exist_ok=True) == url
    commit = api.upload_folder(repo_id="tester/a", folder_path=folder)
    assert hub.files("tester/a") == FILES
    assert api.model_info("tester/a").sha == commit.oid
    assert api.model_info("tester/a").card_data.license == "mit"
    blobs = {blob.path: blob for blob in hub_tree(api)}
    assert blobs["part/model.safetensors"].lfs.size == 256 * 40
    assert blobs["config.json"].lfs is None
    copy = snapshot_download("tester/a")
    for path, content in FILES.items():
        assert (folder.parent / copy / path).read_bytes() == content
    # What is there already is neither uploaded nor committed again.
    sent = len(hub.requests)
    assert api.upload_folder(repo_id="tester/a", folder_path=folder).oid == commit.oid
    assert not any(
        request.startswith(("PUT", "POST /api/models/tester/a/commit"))
        for request in hub.requests[sent:]
    )


def hub_tree(api: HfApi, **arguments) -> list[RepoFile]:
    found = api.list_repo_tree("tester/a", recursive=True, **arguments)
    return [entry for entry in found if not isinstance(entry, RepoFolder)]


@pytest.mark.parametrize("repo_type", ["dataset", "space"])
def test_the_other_types_of_repositories(hub, folder, repo_type):
    api = HfApi()
    sdk = {"space_sdk": "gradio"} if repo_type == "space" else {}
    api.create_repo("shop/b", repo_type=repo_type, private=True, **sdk)
    api.upload_folder(repo_id="shop/b", folder_path=folder, repo_type=repo_type)
    assert hub.files("shop/b", repo_type=repo_type) == FILES
    assert api.repo_info("shop/b", repo_type=repo_type).private
    path = hf_hub_download("shop/b", "part/with space.txt", repo_type=repo_type)
    assert Path(path).read_bytes() == b"text"
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("shop/b")


def test_branches_tags_and_pull_requests(hub, folder):
    api = HfApi()
    api.create_repo("tester/a")
    first = api.upload_folder(repo_id="tester/a", folder_path=folder)
    api.create_branch("tester/a", branch="new/ideas")
    api.create_tag("tester/a", tag="v1")
    api.upload_file(
        repo_id="tester/a", path_or_fileobj=b"2", path_in_repo="two", revision="new/ideas"
    )
    asked = api.create_commit("tester/a", [], commit_message="x", create_pr=True)
    proposed = api.upload_file(
        repo_id="tester/a", path_or_fileobj=b"3", path_in_repo="three", create_pr=True
    )
    assert asked.oid == first.oid, "an empty commit is none"
    assert proposed.pr_url == f"{hub.url}/tester/a/discussions/1"
    refs = api.list_repo_refs("tester/a", include_pull_requests=True)
    assert {ref.name for ref in refs.branches} == {"main", "new/ideas"}
    assert [ref.ref for ref in refs.pull_requests] == ["refs/pr/1"]
    assert [ref.target_commit for ref in refs.tags] == [first.oid]
    for revision, names in {"new/ideas": {"two"}, "refs/pr/1": {"three"}, "v1": set()}.items():
        assert hub.files("tester/a", revision=revision).keys() - FILES.keys() == names
        assert {b.path for b in hub_tree(api, revision=revision)} >= names
    assert [commit.title for commit in api.list_repo_commits("tester/a")][-1] == "initial commit"


def test_deletions_ignored_files_and_pages(hub, folder):
    api = HfApi()
    api.create_repo("tester/a")
    (folder / ".gitignore").write_text("*.bin\ncheckpoint-*/\n")
    (folder / "training_args.bin").write_bytes(b"pickle")
    (folder / "checkpoint-1").mkdir()
    (folder / "checkpoint-1" / "state.json").write_bytes(b"{}")
    api.upload_folder(repo_id="tester/a", folder_path=folder)
    assert hub.files("tester/a").keys() == {*FILES, ".gitignore"}
    api.delete_folder("part", repo_id="tester/a")
    api.delete_file("config.json", repo_id="tester/a")
    assert hub.files("tester/a").keys() == {"README.md", "empty.parquet", ".gitignore"}
    hub.page_size = 1
    assert len(hub_tree(api)) == 4
    with pytest.raises(HfHubHTTPError, match="412"):
        api.upload_file(
            repo_id="tester/a", path_or_fileobj=b"x", path_in_repo="x", parent_commit="0" * 40
        )


def test_who_is_refused(hub, folder, monkeypatch, tmp_path):
    hub.add("shop/open", {"a": b"1"})
    hub.add("shop/secret", {"a": b"1"}, private=True)
    hub.add("shop/gated", {"a": b"1"}, gated=True)
    assert HfApi().whoami()["name"] == "tester"
    assert hf_hub_download("shop/secret", "a")
    hub.connect(monkeypatch, tmp_path / "other", token=hub.guest_token)
    api = HfApi()
    assert hf_hub_download("shop/open", "a")
    for name in ("shop/secret", "shop/none"):
        with pytest.raises(RepositoryNotFoundError):
            snapshot_download(name)
    with pytest.raises(GatedRepoError):
        snapshot_download("shop/gated")
    with pytest.raises(RevisionNotFoundError):
        snapshot_download("shop/open", revision="none")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("shop/open", "none")
    for attempt in (
        lambda: api.create_repo("shop/new"),
        lambda: api.upload_file(repo_id="shop/open", path_or_fileobj=b"", path_in_repo="b"),
    ):
        with pytest.raises(HfHubHTTPError, match="403"):
            attempt()
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(token="hf_unknown").model_info("shop/open")
    hub.connect(monkeypatch, tmp_path / "nobody", token=None)
    assert get_token() is None
    with pytest.raises(RepositoryNotFoundError, match="401"):
        snapshot_download("shop/secret")
    with pytest.raises(HfHubHTTPError, match="409"):
        hub.connect(monkeypatch, tmp_path / "home")
        HfApi().create_repo("shop/open")


def test_faults(hub, folder):
    api = HfApi()
    api.create_repo("tester/a")
    hub.fail("POST .*/commit/", 500)
    with pytest.raises(HfHubHTTPError, match="500"):
        api.upload_folder(repo_id="tester/a", folder_path=folder)
    # The client itself tries again where that is safe.
    hub.fail("PUT /lfs/", DROP)
    hub.fail("POST .*/preupload/", 429, headers={"Retry-After": "1"})
    api.upload_folder(repo_id="tester/a", folder_path=folder)
    assert hub.files("tester/a") == FILES
    # A download that is cut off goes on where it stopped.
    hub.fail("GET .*safetensors", DROP)
    path = hf_hub_download("tester/a", "part/model.safetensors")
    assert Path(path).read_bytes() == FILES["part/model.safetensors"]
    assert sum("GET /tester/a/resolve" in request for request in hub.requests) == 2
    hub.fail("HEAD", 503, times=None)
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("tester/a", "config.json")


def test_a_process_of_its_own(hub, tmp_path):
    hub.add("tester/a", {"config.json": b'{"a": 1}'})
    code = (
        "import sys; from huggingface_hub import hf_hub_download as get, whoami\n"
        "print(open(get('tester/a', 'config.json')).read())\n"
        "if len(sys.argv) > 1: print(whoami()['name'])"
    )

    def run(*arguments, **how):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=hub.environment(tmp_path / "new", **how),
            capture_output=True,
            text=True,
        )

    assert run(offline=True).returncode == 1
    assert run("who").stdout.split("\n")[:2] == ['{"a": 1}', "tester"]
    assert '{"a": 1}' in run(offline=True).stdout
