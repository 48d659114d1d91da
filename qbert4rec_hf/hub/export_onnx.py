"""The sequence model for runtimes without Python: ONNX up to its level logits."""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.utils import logging

from ..data.export_folder import new_folder
from ..errors import QBert4RecError
from ..files import atomic_folder, write_json, write_text
from ..ranking.model_folder import find_model_folder, open_sequence_model
from ..semantic_ids.catalogue import ItemCatalog
from ..sequence.modeling_qbert4rec import QBert4RecForMaskedLM

logger = logging.get_logger(__name__)

FORMAT_VERSION = 1
MODEL_FILE = "model.onnx"
ITEMS_FILE = "items.npz"
ABOUT_FILE = "export.json"
TOLERANCE = 1e-4
LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
# Above this, protobuf cannot hold the weights, and they lie in a second file.
MAX_EMBEDDED_BYTES = 1_500_000_000
_TEMPLATE = Path(__file__).parent / "templates" / "onnx_template.md"


class LevelLogits(nn.Module):
    """The sequence model with its next-item query added, as one function of plain tensors."""

    def __init__(self, model: QBert4RecForMaskedLM):
        super().__init__()
        self.model = model
        # Looked up here: an exporter cannot follow how shared semantic IDs are told.
        own = None
        if model.config.item_embeddings:
            domains = range(len(model.config.num_items))
            own = torch.cat([model._predicted_vectors(domain) for domain in domains]).detach()
        self.register_buffer("vectors", own, persistent=False)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs."""
        own = ["item_rows"] if self.model.config.item_embeddings else []
        return ["input_ids", "attention_mask", *own]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        own = ["item_logits"] if self.model.config.item_embeddings else []
        return ["level_logits", *own]

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        item_rows: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """
        Args:
            input_ids (`[batch, items * levels]`): histories without the query.
            attention_mask (`[batch, items * levels]`): 1 for tokens, 0 for padding.
            item_rows (`[batch, items]`): rows of the catalogue, -1 where no item stands; for a
                model with item embeddings.

        Returns:
            `[batch, items + 1, levels, codes]` float32: logits of each level's codes, those of the
            next item last. Smaller codebooks are filled up with the smallest float. With item
            embeddings also `[batch, all items]` float32, what they add to the next item's logits.
        """
        config = self.model.config
        # Not len(): that is a plain number, and the batch would be fixed to it.
        batch = input_ids.shape[0]
        query = input_ids.new_full((batch, config.num_levels), config.mask_token_id)
        item_embeds = None
        if item_rows is not None:
            rows = nn.functional.pad(item_rows, (0, 1), value=-1)
            item_embeds = self.vectors[rows.clamp(min=0)] * (rows >= 0)[:, :, None]
        hidden = self.model.qbert4rec(
            torch.cat([input_ids, query], dim=1),
            attention_mask=torch.cat([attention_mask, torch.ones_like(query)], dim=1),
            item_embeds=item_embeds,
        ).last_hidden_state
        by_position = self.model.head.transform(self.model._level_states(hidden))
        states = by_position.flatten(0, 1)
        codes = max(config.codebook_sizes)
        logits = [
            nn.functional.pad(
                self.model._level_logits(states, level).float(),
                (0, codes - size),
                value=torch.finfo(torch.float32).min,
            )
            for level, size in enumerate(config.codebook_sizes)
        ]
        level_logits = torch.stack(logits, dim=1).view(batch, -1, config.num_levels, codes)
        if self.vectors is None:
            return (level_logits,)
        return level_logits, by_position[:, -1, -1].float() @ self.vectors.float().T


def export_onnx(
    model: str | os.PathLike, output_dir: str | os.PathLike, **hub_arguments: Any
) -> Path:
    """Exports a model folder to ONNX, and checks that ONNX Runtime computes the same.

    The item graph stays behind: what comes out ranks as the sequence model alone does.

    Args:
        model: model folder, or id of a repository.
        output_dir: gets `model.onnx`, `items.npz` (item ids, codes, item bias), `tokenizer.json`,
            `export.json` (names, shapes, sizes) and a README with a ranking in NumPy; new or
            empty.
        hub_arguments: `revision`, `token`, `cache_dir`, for a repository.

    Returns:
        The folder.

    Raises:
        QBert4RecError: no such model or one whose parts do not belong together, onnx is not
            installed, the folder is not empty, or the results differ.
    """
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise QBert4RecError(
            f"export to ONNX needs {', '.join(missing)}; run pip install 'qbert4rec_hf[onnx]'"
        )
    output_dir, _ = new_folder(output_dir, None)
    folder = find_model_folder(model, **hub_arguments)
    sequence_model, catalog, tokenizer = open_sequence_model(folder)
    sequence_model = sequence_model.float().eval()
    with atomic_folder(output_dir) as temporary:
        network = LevelLogits(sequence_model)
        _write_network(network, temporary / MODEL_FILE)
        difference = largest_difference(network, temporary / MODEL_FILE)
        if not difference <= TOLERANCE:
            raise QBert4RecError(
                f"ONNX Runtime's logits differ from the model's by {difference:.2g}, more than "
                f"{TOLERANCE:g}; nothing was written. Try other versions of {', '.join(LIBRARIES)}"
            )
        tokenizer.backend_tokenizer.save(str(temporary / "tokenizer.json"))
        bias = sequence_model.item_bias
        np.savez_compressed(
            temporary / ITEMS_FILE,
            item_ids=np.array(catalog.item_ids, dtype=np.str_),
            codes=catalog.codes,
            item_bias=np.zeros(len(catalog), np.float32) if bias is None else bias.detach().numpy(),
        )
        write_json(temporary / ABOUT_FILE, _about(sequence_model, catalog, difference))
        write_text(temporary / "README.md", _TEMPLATE.read_text(encoding="utf-8"))
    return output_dir


def largest_difference(network: LevelLogits, path: Path) -> float:
    """The largest difference between the logits of the model and those of ONNX Runtime.

    Compared on histories of random tokens: batches and lengths of all kinds, padding on either side
    and rows that are nothing but padding.
    """
    import onnxruntime

    config = network.model.config
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for batch, items in ((1, 1), (3, min(2, config.max_items)), (2, config.max_items)):
        mask = torch.ones(batch, items, config.num_levels, dtype=torch.long)
        mask[1:2, : (items + 1) // 2] = 0
        mask[2:, items // 2 :] = 0
        total = sum(config.num_items)
        rows = torch.randint(total, (batch, items), generator=generator)
        rows = rows.where(mask[:, :, 0] > 0, -1)
        mask = mask.flatten(1)
        tokens = torch.randint(3, config.vocab_size, mask.shape, generator=generator) * mask
        inputs = dict(zip(network.inputs, (tokens, mask, rows), strict=False))
        with torch.no_grad():
            expected = network(**inputs)
        found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        for ours, theirs in zip(expected, found, strict=True):
            if theirs.shape != tuple(ours.shape):
                return float("inf")
            worst = max(worst, float(np.abs(theirs - ours.numpy()).max()))
    return worst


def _write_network(network: LevelLogits, path: Path) -> None:
    config = network.model.config
    length = 2 if config.max_items > 1 else 1
    tokens = torch.full((2, length * config.num_levels), 3)
    # A dimension that is given is not told from one that is always so: hence two rows, two items.
    batch = torch.export.Dim("batch")
    axes, row_axes = {0: batch}, {0: batch}
    if length > 1:
        items = torch.export.Dim("items", min=1, max=config.max_items)
        axes[1], row_axes[1] = config.num_levels * items, items
    example = (tokens, torch.ones_like(tokens), torch.zeros(2, length, dtype=torch.long))
    names = network.inputs
    size = sum(p.numel() * p.element_size() for p in network.parameters())
    with warnings.catch_warnings():
        # About the names of axes that have the same length; they are what they should be.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.onnx.export(
            network,
            example[: len(names)],
            dynamo=True,
            dynamic_shapes=dict(zip(names, (axes, axes, row_axes), strict=False)),
            input_names=names,
            output_names=network.outputs,
            verbose=False,
        )
    program.save(str(path), external_data=size > MAX_EMBEDDED_BYTES)


def _about(model: QBert4RecForMaskedLM, catalog: ItemCatalog, difference: float) -> dict[str, Any]:
    """What a programme needs to know to feed the network and to read what it gives."""
    config = model.config
    tokens = {"dtype": "int64", "shape": ["batch", "items * levels"]}
    inputs = {"input_ids": tokens, "attention_mask": tokens}
    shape = ["batch", "items + 1", "levels", "codes"]
    outputs = {"level_logits": {"dtype": "float32", "shape": shape}}
    if config.item_embeddings:
        inputs["item_rows"] = {"dtype": "int64", "shape": ["batch", "items"]}
        outputs["item_logits"] = {"dtype": "float32", "shape": ["batch", "all items"]}
    return {
        "format_version": FORMAT_VERSION,
        "inputs": inputs,
        "outputs": outputs,
        "levels": config.num_levels,
        "codebook_sizes": list(config.codebook_sizes),
        "level_offsets": config.level_offsets,
        "pad_token_id": config.pad_token_id,
        "max_items": config.max_items,
        "domains": dict(zip(catalog.domains, catalog.domain_sizes, strict=True)),
        "catalog_fingerprint": config.catalog_fingerprint,
        "largest_difference": difference,
    }
