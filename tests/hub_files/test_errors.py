"""What the Hub and the way to it do wrong, as one line that says what to do."""

from __future__ import annotations

import re

import pytest
from fake_hub import DROP, LOST

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.hub_files.download import find_folder
from qbert4rec_hf.hub_files.errors import explained
from qbert4rec_hf.hub_files.plan import plan_upload
from qbert4rec_hf.hub_files.upload import upload


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text("{}")
    (tmp_path / "folder" / "model.safetensors").write_text("weights")
    (tmp_path / "folder" / "other.safetensors").write_text("other weights")
    return tmp_path / "folder"


def opening(name="shop/camp", **arguments):
    return find_folder(name, ["*"], **arguments)


def pushing(folder, name="shop/camp", **arguments):
    return upload(plan_upload(folder, name, **arguments))


def refused(action, *arguments, **keywords) -> str:
    with pytest.raises(QBert4RecError) as caught:
        action(*arguments, **keywords)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 450
    # Nothing of the client's own error, which may tell more, is shown beside it.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def state_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_private_repository_and_none_look_the_same(hub, monkeypatch, tmp_path):
    hub.add("shop/camp", {"config.json": "{}"}, private=True)
    assert opening().is_dir()
    for token, status in ((hub.guest_token, 404), (None, 401)):
        hub.connect(monkeypatch, tmp_path / f"home{status}", token=token)
        messages = {refused(opening, name).replace(name, "R") for name in ("shop/camp", "shop/x")}
        (message,) = messages
        assert "there is no model repository R on the Hub, or it is private" in message
        assert f"does not say which: {status}" in message and "hf auth login" in message
    assert opening(token=hub.token).is_dir()
    message = refused(opening, token="hf_somebodyelses", cache_dir=tmp_path / "cold")
    assert "does not know your token (401)" in message


def test_gated_revision_and_name(hub, monkeypatch, tmp_path):
    hub.add("shop/camp", {"config.json": "{}"}, gated=True)
    assert "no revision 'v9'" in refused(opening, revision="v9")
    hub.connect(monkeypatch, tmp_path / "guest", token=hub.guest_token)
    assert "gated; ask for it" in refused(opening)
    for name in ("a/b/c", "../no-such-folder", "/no/such/folder", "ca mp", "./camp"):
        assert "neither a folder nor a repository" in refused(opening, name)
    assert "no repository id" in refused(opening, "shop/two--dashes")


def test_offline_with_a_warm_and_a_cold_cache(hub, monkeypatch, tmp_path):
    hub.add("shop/camp", {"config.json": "{}", "b.json": "{}"})
    whole = opening()
    find_folder("shop/camp", ["config.json"], cache_dir=tmp_path / "part")
    hub.connect(monkeypatch, tmp_path / "home", offline=True)
    asked = len(hub.requests)
    assert opening() == whole
    message = refused(opening, cache_dir=tmp_path / "cold")
    assert message.startswith("HF_HUB_OFFLINE is set") and "not in the cache" in message
    assert "HF_HUB_OFFLINE unset" in message and "shop/camp" in message
    assert "only partly in the cache" in refused(opening, cache_dir=tmp_path / "part")
    assert "not in the cache at revision 'v2'" in refused(opening, revision="v2")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "unset it and try again" in refused(pushing, folder)
    assert len(hub.requests) == asked
    hub.connect(monkeypatch, tmp_path / "home")
    assert opening(local_files_only=True) == whole
    message = refused(opening, local_files_only=True, cache_dir=tmp_path / "cold")
    assert "not in the cache" in message and not message.startswith("HF_HUB_OFFLINE")


def test_no_network(hub, monkeypatch, tmp_path, folder):
    hub.add("shop/camp", {"config.json": "{}"})
    warm = opening()
    hub.__exit__()
    # What is in the cache needs no network.
    assert opening() == warm
    message = refused(opening, cache_dir=tmp_path / "cold")
    assert f"the Hub at {hub.url} cannot be reached" in message and "HF_ENDPOINT" in message
    assert "run the same command again" in refused(pushing, folder)


STEPS = ["POST .*/create", "POST .*objects/batch", "POST .*/commit/"]
FAULTS = {
    401: "needs a token that the Hub takes (401); log in",
    403: "may not write to the model repository shop/camp (403: fault 403)",
    404: "there is no model repository shop/camp",
    409: "at the same time (409); run the same command again",
    500: "trouble with the model repository shop/camp (500: fault 500); run the same",
    DROP: "cannot be reached",
}


# By a 409 to the first step the Hub says that the repository exists.
@pytest.mark.parametrize(
    ("step", "fault"), [(s, f) for s in STEPS for f in FAULTS if (s, f) != (STEPS[0], 409)]
)
def test_a_push_that_fails_can_be_made_again(hub, folder, step, fault):
    before = state_of(folder)
    # The client itself tries LFS again five times.
    hub.fail(step, fault, times=6 if "batch" in step else 1)
    assert FAULTS[fault] in refused(pushing, folder)
    assert state_of(folder) == before
    if ("model", "shop/camp") in hub.repositories:
        assert hub.files("shop/camp") == {}
    hub.faults.clear()
    assert not pushing(folder).nothing_changed
    assert hub.files("shop/camp").keys() == {path.name for path in before}


def test_an_upload_broken_in_the_middle_is_not_begun_again(hub, folder):
    # The first large file arrives, the second never does.
    hub.fail("PUT /lfs/", 500, after=1, times=6)
    message = refused(pushing, folder)
    assert "what has arrived is not sent again" in message
    assert hub.files("shop/camp") == {}
    sent = len(hub.requests)
    pushing(folder)
    assert sum(request.startswith("PUT") for request in hub.requests[sent:]) == 1
    assert len(hub.files("shop/camp")) == 3


def test_a_commit_whose_answer_was_lost(hub, folder):
    hub.fail("POST .*/commit/", LOST)
    refused(pushing, folder)
    # It was made all the same; trying again finds that and adds nothing.
    assert pushing(folder).nothing_changed
    assert len(hub.history("shop/camp")) == 2


def test_too_many_requests(hub, folder, tmp_path):
    hub.fail("POST .*/commit/", 429, headers={"Retry-After": "120"})
    assert "(429); try again in 120 seconds" in refused(pushing, folder)
    pushing(folder)
    hub.fail("GET /api/models/", 429, times=None)
    assert "(429); try again in some minutes" in refused(opening, cache_dir=tmp_path / "cold")


def test_a_download_that_breaks_off(hub, tmp_path):
    hub.add("shop/camp", {"config.json": "{}", "model.safetensors": bytes(range(256)) * 9})
    # The client tries again by itself, five times.
    hub.fail("GET .*safetensors", DROP, times=5)
    folder = opening()
    assert (folder / "model.safetensors").read_bytes() == bytes(range(256)) * 9
    hub.fail("GET .*/resolve/.*", 503, times=None)
    message = refused(opening, cache_dir=tmp_path / "cold")
    assert "trouble with the model repository shop/camp (503" in message
    assert not list((tmp_path / "cold").rglob("snapshots/*/*"))
    hub.faults.clear()
    assert opening(cache_dir=tmp_path / "cold").is_dir()


def test_metadata_that_the_hub_refuses(hub, folder):
    (folder / "README.md").write_text("---\ntags: [a\n---\n")
    assert refused(pushing, folder).startswith("README.md begins with metadata")
    assert hub.files("shop/camp") == {}


@pytest.mark.parametrize("token", ["hf_mySecretToken123", "two\nlinesOfIt", "tökén-ünicode"])
def test_no_message_holds_a_token(hub, folder, token, caplog, capsys):
    for action in (lambda: opening(token=token), lambda: pushing(folder, token=token)):
        message = refused(action)
        for part in [token, *token.split()[1:]]:
            assert part not in message
    with pytest.raises(QBert4RecError) as caught, explained("a/b", token=token):
        raise ValueError(f"Illegal header value b'Bearer {token}' and {hub.token}")
    shown = str(caught.value) + caplog.text + "".join(capsys.readouterr())
    assert not re.search(f"{re.escape(token)}|{hub.token}|Bearer", shown)
