from __future__ import annotations

import pytest

from qbert4rec_hf.errors import QBert4RecError
from qbert4rec_hf.hub_files import upload as upload_module
from qbert4rec_hf.hub_files.plan import plan_upload
from qbert4rec_hf.hub_files.upload import upload


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)


def test_a_download_in_the_cache_can_be_pushed_elsewhere(hub, folder):
    from huggingface_hub import snapshot_download

    upload(plan_upload(folder, "tester/a"))
    copy = snapshot_download("tester/a")
    upload(plan_upload(copy, "tester/b"))
    assert hub.files("tester/b") == hub.files("tester/a") != {}


def test_only_what_changed_is_sent(hub, folder):
    first = upload(plan_upload(folder, "tester/a"))
    assert first.url == f"{hub.url}/tester/a/commit/{hub.history('tester/a')[0].id}"
    assert sorted(file.path for file in first.plan.changed) == sorted(hub.files("tester/a"))
    sent = len(hub.requests)
    again = upload(plan_upload(folder, "tester/a"))
    assert again.nothing_changed and len(hub.history("tester/a")) == 2
    # Telling needs no more than two questions, and no right to write.
    assert [request.split()[0] for request in hub.requests[sent:]] == ["GET", "GET"]
    write(folder, {"part/a.txt": "b", "new.json": "{}"})
    plan = plan_upload(folder, "tester/a")
    assert [file.path for file in plan.changed] == ["new.json", "part/a.txt"]
    assert plan.size == 3 and len(plan.unchanged) == 2 and not plan.deleted
    upload(plan, message="second")
    assert hub.files("tester/a")["part/a.txt"] == b"b"
    assert hub.history("tester/a")[0].message == "second"


def test_same_size_other_content(hub, folder):
    upload(plan_upload(folder, "tester/a"))
    write(folder, {"model.safetensors": "WEIGHTS", "part/a.txt": "A"})
    changed = [file.path for file in plan_upload(folder, "tester/a").changed]
    assert changed == ["model.safetensors", "part/a.txt"]


def test_what_is_gone_is_deleted_if_it_is_ours(hub, folder):
    hub.add("tester/a", {"part/old.txt": "x", "LICENSE": "x", "training_args.bin": "x"})
    plan = plan_upload(folder, "tester/a", ours=["part/*"])
    assert plan.deleted == ["part/old.txt"]
    upload(plan)
    files = hub.files("tester/a")
    assert "part/old.txt" not in files and {"LICENSE", "training_args.bin"} <= files.keys()


def test_many_files_take_several_commits(hub, folder, monkeypatch):
    monkeypatch.setattr(upload_module, "COMMIT_FILES", 3)
    write(folder, {f"images/{number}.jpg": str(number) for number in range(5)})
    upload(plan_upload(folder, "tester/a"), message="all")
    commits = hub.history("tester/a")
    assert [commit.message for commit in commits[:-1]] == [
        f"all (part {number} of 3)" for number in (3, 2, 1)
    ]
    # Whoever downloads in between finds the old tables and weights, not half of the new ones.
    assert "config.json" not in commits[1].files and "config.json" in commits[0].files
    upload(plan_upload(folder, "tester/b"), create_pr=True)
    assert len(hub.files("tester/b", revision="refs/pr/1")) == 8
    assert hub.files("tester/b") == {}


def test_branches_and_pull_requests(hub, folder):
    upload(plan_upload(folder, "tester/a"))
    same = upload(plan_upload(folder, "tester/a", revision="next/one"))
    assert same.nothing_changed
    assert hub.history("tester/a", revision="next/one") == hub.history("tester/a")
    write(folder, {"part/a.txt": "b"})
    upload(plan_upload(folder, "tester/a", revision="next/one"))
    assert hub.files("tester/a", revision="next/one")["part/a.txt"] == b"b"
    assert hub.files("tester/a")["part/a.txt"] == b"a"
    done = upload(plan_upload(folder, "tester/a"), create_pr=True)
    assert done.url == f"{hub.url}/tester/a/discussions/1"
    assert hub.files("tester/a", revision="refs/pr/1")["part/a.txt"] == b"b"
    with pytest.raises(QBert4RecError, match="not both"):
        upload(plan_upload(folder, "tester/a", revision="x"), create_pr=True)
    with pytest.raises(QBert4RecError, match="no revision 'refs/pr/7'"):
        plan_upload(folder, "tester/a", revision="refs/pr/7")


def test_private_means_private(hub, folder):
    upload(plan_upload(folder, "tester/new"), private=True)
    assert hub.repositories["model", "tester/new"].private
    upload(plan_upload(folder, "tester/new"), private=True)
    hub.add("tester/open")
    with pytest.raises(QBert4RecError, match="is public; make it private"):
        upload(plan_upload(folder, "tester/open"), private=True)
    assert hub.files("tester/open") == {}


@pytest.mark.parametrize("name", ["camp", "a/b/c", "./folder", "own er/x", ""])
def test_what_is_no_repository(hub, folder, name):
    with pytest.raises(QBert4RecError, match="OWNER/NAME"):
        plan_upload(folder, name)
    assert hub.requests == []


def test_somebody_else_pushed_meanwhile(hub, folder):
    upload(plan_upload(folder, "tester/a"))
    write(folder, {"part/a.txt": "b"})
    plan = plan_upload(folder, "tester/a")
    hub.add("tester/a", {"theirs.txt": "x"})
    with pytest.raises(QBert4RecError, match=r"\(412\); run the same command again"):
        upload(plan)
    upload(plan_upload(folder, "tester/a"))
    assert hub.files("tester/a")["part/a.txt"] == b"b" and "theirs.txt" in hub.files("tester/a")
