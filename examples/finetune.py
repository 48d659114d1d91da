"""Fine-tunes the sequence model on one domain and saves a recommender.

    qbert4rec demo --output-dir demo    # makes domains, semantic IDs and a pre-trained model
    python examples/finetune.py --domain demo/domains/weekend \
        --catalog demo/run/semantic_ids/target \
        --pretrained demo/run/pretrain --output_dir finetuned

Without `--pretrained` it starts from random weights. On two processes (`accelerate launch` on
machines with several GPUs; this form also on CPUs):

    python -m torch.distributed.run --nproc_per_node 2 examples/finetune.py ...
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from accelerate import PartialState
from transformers import HfArgumentParser

from qbert4rec_hf import (
    Domain,
    ItemCatalog,
    QBert4RecForMaskedLM,
    QBert4RecTokenizer,
    Recommender,
)
from qbert4rec_hf.evaluation.evaluator import evaluate_ranker
from qbert4rec_hf.evaluation.tables import markdown_table
from qbert4rec_hf.ranking.fit_ranker import RankingSettings, fit_ranker
from qbert4rec_hf.runs.sequence_stages import domain_histories
from qbert4rec_hf.training.build_sequence_model import build_sequence_model
from qbert4rec_hf.training.sequence_settings import FINETUNING, SequenceSettings
from qbert4rec_hf.training.train_sequence import train_sequence


@dataclass
class Arguments:
    domain: str = field(metadata={"help": "domain folder"})
    catalog: str = field(metadata={"help": "folder with the domain's catalogue"})
    output_dir: str = field(metadata={"help": "where training and the recommender go"})
    pretrained: str | None = field(default=None, metadata={"help": "folder of a pre-trained model"})
    architecture: Literal["small", "paper"] = field(default="small", metadata={"help": "preset"})
    recipe: Literal["recipe", "paper"] = field(default="recipe", metadata={"help": "preset"})
    epochs: int | None = field(default=None, metadata={"help": "instead of the preset's"})
    seed: int = 0


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()

    # 1. Histories, split as the domain asks for it: by default the last item of each is for the
    #    test and the one before for validation.
    domain = Domain.load(arguments.domain)
    split = domain.split()

    # 2. The model: codes that it learnt elsewhere, items that are new to it.
    catalog = ItemCatalog.load(arguments.catalog)
    if catalog.item_ids != domain.item_ids:
        raise SystemExit(
            f"{arguments.catalog} holds the items of {', '.join(catalog.domains)}, not those of "
            f"{arguments.domain}; take both from the same run"
        )
    if arguments.pretrained is None:
        model = build_sequence_model(
            catalog.codes,
            catalog.codebook_sizes,
            catalog.domain_sizes,
            preset=arguments.architecture,
            seed=arguments.seed,
        )
    else:
        model = QBert4RecForMaskedLM.from_pretrained(arguments.pretrained)
        model.set_catalog(catalog.codes, num_items=catalog.domain_sizes)

    # 3. Fine-tuning with a transformers Trainer.
    settings = SequenceSettings(**{**FINETUNING[arguments.recipe], "seed": arguments.seed})
    settings.epochs = arguments.epochs or settings.epochs
    tokenizer = QBert4RecTokenizer.from_codebook_sizes(catalog.codebook_sizes)
    output_dir = Path(arguments.output_dir)
    training = train_sequence(
        model,
        domain_histories([split], catalog.domain_sizes),
        settings,
        output_dir / "sequence",
        tokenizer=tokenizer,
    )
    if not PartialState().is_main_process:
        return
    print(f"{training.num_processes} processes, {training.seconds:.0f} s")

    # 4. Item graph and re-ranker, both by validation; then the test split, once.
    ranker = fit_ranker(model.cpu(), split, RankingSettings()).ranker
    result = evaluate_ranker(
        ranker.scores_by_protocol,
        split.histories("test"),
        split.targets("test"),
        train=split.train,
        num_items=len(domain),
        splitting=split.splitting("test"),
    )
    print(markdown_table([result]))
    recommender = Recommender(
        model,
        catalog,
        tokenizer=tokenizer,
        prior=ranker.prior,
        weights=ranker.weights,
        seen_weight=ranker.seen_weight,
        reranker=ranker.reranker,
        exclude_seen=domain.info.exclude_seen,
    )
    print(f"saved {recommender.save_pretrained(output_dir / 'model')}")


if __name__ == "__main__":
    main()
