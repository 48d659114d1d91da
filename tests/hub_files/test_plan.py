from __future__ import annotations

import os

from qbert4rec_hf.hub_files.plan import local_files


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)


def test_what_never_goes_up(folder):
    private = [
        "pytorch_model.bin",
        "training_args.bin",
        "optimizer.pt",
        "rng_state.pth",
        "part/state.pkl",
        "stage.json",
        ".env",
        ".cache/x",
        ".git/config",
        "checkpoint-3/model.safetensors",
        "checkpoints/model.safetensors",
        "features.partial/x.safetensors",
        "__pycache__/a.pyc",
    ]
    write(folder, dict.fromkeys(private, "x"))
    files, left_out = local_files(folder)
    assert [file.path for file in files] == ["config.json", "model.safetensors", "part/a.txt"]
    kept_back = [path for path in private if path in left_out]
    kept_back += [path for path in private if path.split("/")[0] + "/" in left_out]
    assert sorted(kept_back) == sorted(private)
    assert "pickle" in left_out["training_args.bin"]


def test_links_are_not_followed_out_of_the_folder(folder, tmp_path):
    write(tmp_path, {"secret.txt": "secret", "elsewhere/deep.txt": "secret"})
    os.symlink(tmp_path / "secret.txt", folder / "notes.txt")
    os.symlink(tmp_path / "elsewhere", folder / "more")
    os.symlink("nowhere", folder / "broken.txt")
    os.symlink("part/a.txt", folder / "same.txt")
    files, left_out = local_files(folder)
    assert {file.path for file in files} >= {"same.txt", "config.json"}
    assert not [f for f in files if b"secret" in f.source.read_bytes()]
    assert left_out["notes.txt"] == "a link to a file outside the folder"
    assert left_out["broken.txt"] == "a link that leads nowhere"
    assert left_out["more/"] == "a link to a folder"
