"""Opens a model folder or repository in every way that transformers offers, and runs what opens.

The tests call it where the package is imported. As a program it does the same in a process where
the package cannot be imported, with the code of the folder alone:

    python -I every_way_to_open.py PLACE INPUTS RESULTS '{"revision": "v1"}' plain,half
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch

WAYS = {
    "plain": {},
    "half": {"dtype": torch.bfloat16},
    "map": {"device_map": "cpu"},
    "auto": {"device_map": "auto", "dtype": "auto"},
    "eager": {"attn_implementation": "eager"},
    "sdpa": {"attn_implementation": "sdpa"},
}
HISTORIES = [["item-2", "red tent", "item-5"], ["<a_9>"], []]


def run_every_way(
    place: str, inputs: dict[str, torch.Tensor], again: str, ways: list[str], **arguments: Any
) -> tuple[dict[str, torch.Tensor], list]:
    """What comes out, by way and name.

    Args:
        place: folder, or id of a repository.
        inputs: `features` `[items, parts, dim]` and `embeddings` `[items, dim]` for fusion and
            quantizer.
        again: folder that what was loaded is saved to, and loaded from once more.
        ways: names in `WAYS`.
        arguments: of every `from_pretrained`.

    Returns:
        Tensors, and what the pipeline answered.
    """
    from transformers import AutoConfig, AutoTokenizer, pipeline

    config = AutoConfig.from_pretrained(place, **arguments)
    found = {"num_items": torch.tensor(config.num_items)}
    for way in ways:
        loaded, tensors = open_all(place, inputs, WAYS[way], **arguments)
        found |= {f"{way}/{name}": value for name, value in tensors.items()}
    # What came from somewhere is saved with its code, and opens from there.
    for name, part in loaded.items():
        part.save_pretrained(f"{again}/{name}" if name in ("fusion", "quantizer") else again)
    trust = {name: value for name, value in arguments.items() if name == "trust_remote_code"}
    tensors = open_all(again, inputs, WAYS[way], subfolders=False, **trust)[1]
    found |= {f"again/{name}": value for name, value in tensors.items()}
    hub = {name: value for name, value in arguments.items() if name != "cache_dir"}
    fill = pipeline("fill-mask", model=place, **hub)
    found["fill-mask"] = torch.tensor([guess["token"] for guess in fill("<a_1>[MASK]<c_3>")])
    recommend = pipeline("next-item-recommendation", model=place, unknown="skip", **hub)
    assert isinstance(AutoTokenizer.from_pretrained(place, **arguments).vocab_size, int)
    return found, [recommend(HISTORIES, top_k=4), recommend(HISTORIES, batch_size=3)]


def open_all(
    place: str,
    inputs: dict[str, torch.Tensor],
    way: dict[str, Any],
    subfolders: bool = True,
    **arguments: Any,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """All models of a folder with the tokenizer, and their outputs."""
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(place, **arguments)
    model = AutoModelForMaskedLM.from_pretrained(place, **way, **arguments).eval()
    encoder = AutoModel.from_pretrained(place, **way, **arguments).eval()
    # The model is saved after its encoder, whose folder would lack the head.
    loaded = {"encoder": encoder, "model": model, "tokenizer": tokenizer}
    for name in ("fusion", "quantizer"):
        where = (place, {"subfolder": name}) if subfolders else (f"{place}/{name}", {})
        part = AutoModel.from_pretrained(where[0], **where[1], **way, **arguments)
        loaded[name] = part.eval()
    for part in (model, encoder, loaded["fusion"], loaded["quantizer"]):
        assert part.dtype == way.get("dtype", torch.float32) or way.get("dtype") == "auto"
        asked = way.get("attn_implementation", part.config._attn_implementation)
        assert part.config._attn_implementation == asked
    text = "<a_1><b_2><c_3><a_0><b_3><c_5>"
    tokens = tokenizer([text, text[:15]], padding=True, return_tensors="pt")
    features = {"text": inputs["features"].to(model.dtype)}
    present = {"text": torch.ones(inputs["features"].shape[:2], dtype=torch.bool)}
    with torch.no_grad():
        codes, distances = loaded["quantizer"].encode(inputs["embeddings"].to(model.dtype))
        return loaded, {
            "tokens": tokens["input_ids"],
            "logits": model(**tokens).logits,
            "scores": model.score_items(**tokens),
            "states": encoder(**tokens).last_hidden_state,
            "fused": loaded["fusion"].embed(features, present).fused,
            "codes": codes,
            "distances": distances,
        }


class NoPackage:
    """Refuses the package, installed or not."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "qbert4rec_hf":
            raise ModuleNotFoundError(f"No module named {name!r}")


if __name__ == "__main__":
    sys.meta_path.insert(0, NoPackage())
    from safetensors.torch import load_file, save_file

    place, inputs_file, results, settings, ways = sys.argv[1:]
    tensors, answers = run_every_way(
        place,
        load_file(inputs_file),
        f"{results}-again",
        ways.split(","),
        trust_remote_code=True,
        **json.loads(settings),
    )
    assert not [name for name in sys.modules if name.startswith("qbert4rec_hf")]
    save_file(tensors, f"{results}.safetensors")
    with open(f"{results}.json", "w", encoding="utf-8") as file:
        json.dump(answers, file)
