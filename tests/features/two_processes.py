"""What happens when several processes encode one domain: run as a script, prints JSON.

Usage: two_processes.py FOLDER BERT_FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
import weakref
from pathlib import Path

import accelerate  # noqa: F401 - imported once, before the processes part
from transformers.utils import logging

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
sys.path.insert(0, str(Path(__file__).parent))

from conftest import make_domain  # noqa: E402
from launcher import launch  # noqa: E402

from qbert4rec_hf import processes as processes_module  # noqa: E402
from qbert4rec_hf.features.encoder_set import EncoderSet  # noqa: E402
from qbert4rec_hf.features.hf_text import HFTextEncoder  # noqa: E402
from qbert4rec_hf.features.image_thumbnail import ThumbnailImageEncoder  # noqa: E402
from qbert4rec_hf.features.tfidf import TfidfTextEncoder  # noqa: E402
from qbert4rec_hf.processes import processes  # noqa: E402

FOLDER, BERT = Path(sys.argv[1]), sys.argv[2]
# Five shards, the last of one item: neither divides by two.
NUM_ITEMS, SHARD_SIZE = 13, 3
DOMAIN = make_domain(FOLDER / "domain", NUM_ITEMS)


def encoders(*, template=("title", "text")) -> EncoderSet:
    text = HFTextEncoder(model=BERT, device="cpu", template={"fields": list(template)})
    images = ThumbnailImageEncoder(dim=4)
    return EncoderSet({"text": text, "image": images}, shard_size=SHARD_SIZE).fit([DOMAIN])


def counted(chosen: EncoderSet, *, failure=None, at: int = 0) -> list[int]:
    """Counts the items of each call of the text encoder; `failure` is called at one of them."""
    encode, calls = chosen["text"].encode, []

    def encode_and_count(items, root, *, progress=True):
        if failure is not None and len(calls) == at:
            failure()
        calls.append(len(items))
        return encode(items, root, progress=progress)

    chosen["text"].encode = encode_and_count
    return calls


def plain(features) -> dict:
    return {name: part.vectors.tolist() for name, part in features.modalities.items()}


def encode(rank, cache):
    chosen = encoders()
    calls = counted(chosen)
    features = chosen.encode_domain(DOMAIN, cache)
    return {"vectors": plain(features), "calls": calls, "fingerprint": features.fingerprint}


def fail_in_second(rank, cache):
    def failure():
        raise ValueError("broken picture")

    chosen = encoders()
    counted(chosen, failure=failure if rank == 1 else None, at=1)
    try:
        chosen.encode_domain(DOMAIN, cache)
    except ValueError as error:
        # Its own error, not wrapped.
        return f"{type(error).__name__}: {error}"


def die_in_second(rank, cache):
    chosen = encoders()
    counted(chosen, failure=(lambda: os._exit(3)) if rank == 1 else None, at=1)
    chosen.encode_domain(DOMAIN, cache)


def differ(rank, cache):
    encoders(template=["title"] if rank else ["text"]).encode_domain(DOMAIN, cache)


def fit(rank):
    encoder = TfidfTextEncoder(dim=4)
    # Only the first process learns; the others must not need to.
    if rank:
        encoder.fit = None
    EncoderSet({"text": encoder}).fit([DOMAIN])
    return encoder.fingerprint()


def nothing_to_learn_from(rank):
    bare = DOMAIN.items.assign(title=None, text=[[]] * NUM_ITEMS, brand=None)
    domain = type("Bare", (), {"items": bare, "name": "bare"})()
    EncoderSet({"text": TfidfTextEncoder(dim=4)}).fit([domain])


def talk(rank):
    team = processes()
    assert team is processes() and team.first == (rank == 0)
    return [team.together(lambda: rank * 10), team.first_does(lambda: f"from {rank}")]


def leave(rank):
    """Whether a group is gone once its process has left it."""
    group = weakref.ref(processes().group)
    processes_module._leave()
    return group() is None


def main() -> dict:
    results = {"talk": launch(talk, 3), "left behind": launch(leave, 2)}
    chosen = encoders()
    results["one"] = plain(chosen.encode_domain(DOMAIN))
    results["two"] = launch(encode, 2, FOLDER / "two")
    results["left"] = sorted(path.name for path in FOLDER.glob("two*"))
    results["again"] = launch(encode, 2, FOLDER / "two")
    results["three"] = launch(encode, 3, FOLDER / "three")
    results["no cache"] = launch(encode, 2, None)

    results["failed"] = launch(fail_in_second, 2, FOLDER / "resumed")
    results["kept"] = len(list(FOLDER.glob("resumed.partial/text-*/*.safetensors")))
    results["resumed by one"] = encode(0, FOLDER / "resumed")

    broken = encoders()
    counted(broken, failure=lambda: (_ for _ in ()).throw(KeyboardInterrupt), at=2)
    try:
        broken.encode_domain(DOMAIN, FOLDER / "interrupted")
    except KeyboardInterrupt:
        results["resumed by two"] = launch(encode, 2, FOLDER / "interrupted")

    start = time.monotonic()
    results["died"] = launch(die_in_second, 2, FOLDER / "died")
    results["seconds to notice"] = time.monotonic() - start
    results["different"] = launch(differ, 2, FOLDER / "different")
    results["fit"] = launch(fit, 2)
    results["nothing"] = launch(nothing_to_learn_from, 2)
    return results


if __name__ == "__main__":
    logging.disable_progress_bar()
    print(json.dumps(main()))
