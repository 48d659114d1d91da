"""Pre-trains the sequence model on several domains with span, multi-region and tail masks.

    qbert4rec demo --output-dir demo           # makes the domains and their semantic IDs
    python examples/pretrain.py --domains demo/domains/outdoor demo/domains/home \
        --catalog demo/run/semantic_ids/pretrain --output_dir pretrained

On two processes (`accelerate launch` on machines with several GPUs; this form also on CPUs):

    python -m torch.distributed.run --nproc_per_node 2 examples/pretrain.py ...
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from accelerate import PartialState
from transformers import HfArgumentParser

from qbert4rec_hf import Domain, ItemCatalog, QBert4RecTokenizer
from qbert4rec_hf.runs.sequence_stages import domain_histories
from qbert4rec_hf.training.build_sequence_model import build_sequence_model
from qbert4rec_hf.training.sequence_settings import PRETRAINING, SequenceSettings
from qbert4rec_hf.training.train_sequence import train_sequence


@dataclass
class Arguments:
    domains: list[str] = field(metadata={"help": "domain folders, in the catalogue's order"})
    catalog: str = field(metadata={"help": "folder with the catalogue of these domains"})
    output_dir: str = field(metadata={"help": "where the model goes"})
    architecture: Literal["small", "paper"] = field(default="small", metadata={"help": "preset"})
    recipe: Literal["recipe", "paper"] = field(default="recipe", metadata={"help": "preset"})
    objective: Literal["catalog", "codes"] = field(
        default="catalog", metadata={"help": "softmax over the items, or eq. 11"}
    )
    epochs: int | None = field(default=None, metadata={"help": "instead of the preset's"})
    seed: int = 0


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()

    # 1. Histories: validation and test items are split off before anything else happens.
    domains = [Domain.load(folder) for folder in arguments.domains]
    splits = [domain.split() for domain in domains]

    # 2. Semantic IDs of all domains, and a model that ranks these items. Histories number items by
    #    their row, so the catalogue must hold the same items in the same rows.
    catalog = ItemCatalog.load(arguments.catalog)
    if catalog.item_ids != [item_id for domain in domains for item_id in domain.item_ids]:
        raise SystemExit(
            f"{arguments.catalog} holds the items of {', '.join(catalog.domains)}, not those of "
            f"{', '.join(domain.name for domain in domains)}; give --domains in this order"
        )
    model = build_sequence_model(
        catalog.codes,
        catalog.codebook_sizes,
        catalog.domain_sizes,
        preset=arguments.architecture,
        architecture={"objective": arguments.objective},
        seed=arguments.seed,
    )

    # 3. A transformers Trainer with the multi-mask collator, batches by length, and the checkpoint
    #    of the best validation NDCG@10. Interrupted? The same command goes on.
    settings = SequenceSettings(**{**PRETRAINING[arguments.recipe], "seed": arguments.seed})
    settings.epochs = arguments.epochs or settings.epochs
    training = train_sequence(
        model,
        domain_histories(splits, catalog.domain_sizes),
        settings,
        arguments.output_dir,
        tokenizer=QBert4RecTokenizer.from_codebook_sizes(catalog.codebook_sizes),
    )
    if PartialState().is_main_process:
        # None where no history is long enough to hold a validation item out.
        best = "not measured" if training.best is None else f"{training.best:.4f}"
        print(
            f"{training.num_processes} processes, validation NDCG@10 {best} after "
            f"{training.seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
