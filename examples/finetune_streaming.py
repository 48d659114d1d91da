"""Fine-tunes a model folder on another domain, whose interactions are streamed from disk.

    qbert4rec demo --output-dir demo
    python examples/finetune_streaming.py --model demo/run/model --domain demo/domains/home \
        --output_dir streamed --max_steps 200 --per_device_train_batch_size 64

Memory holds the items, the model and a buffer of histories, however long the log is. A stream has
no length, so `--max_steps` says when to stop. The same command goes on after an interruption. All
options of transformers' `TrainingArguments` work; `--save_steps` says how often to save.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from qbert4rec_hf import DataCollatorForMultiMask, Recommender, StreamedDomain


@dataclass
class Arguments:
    model: str = field(metadata={"help": "model folder, or the id of a repository"})
    domain: str = field(metadata={"help": "domain folder, or the id of a dataset repository"})
    shuffle_buffer: int = field(default=10_000, metadata={"help": "histories that are shuffled"})


def main() -> None:
    arguments, training = HfArgumentParser(
        (Arguments, TrainingArguments)
    ).parse_args_into_dataclasses()
    if training.max_steps < 1:
        raise SystemExit("a stream has no length; say when to stop with --max_steps")
    # The collator reads columns that the model does not; each process reads its own batches.
    training.remove_unused_columns = False
    training.accelerator_config.dispatch_batches = False

    # 1. The items get semantic IDs from their texts and images; no interaction is in memory.
    domain = StreamedDomain.load(arguments.domain)
    recommender = Recommender.from_pretrained(arguments.model).for_domain(domain)

    # 2. Whole histories, without validation and test items, again and again and never in the same
    #    order. An endless stream is what a resumed Trainer finds its place in.
    histories = domain.training_histories().repeat(None)
    histories = histories.shuffle(seed=training.seed, buffer_size=arguments.shuffle_buffer)

    # 3. A plain Trainer. A resumed one reads over what it has seen; the collator draws masks for
    #    that too, so it has random numbers of its own.
    trainer = Trainer(
        model=recommender.model,
        args=training,
        train_dataset=histories,
        data_collator=DataCollatorForMultiMask(
            recommender.catalog.tokens(),
            ratios={"random": 0.3, "last": 0.0},
            max_items=recommender.model.config.max_items,
            seed=training.seed,
        ),
        processing_class=recommender.tokenizer,
    )
    output_dir = Path(training.output_dir)
    last = get_last_checkpoint(output_dir) if output_dir.is_dir() else None
    trainer.train(resume_from_checkpoint=last)

    # 4. What `Recommender`, `qbert4rec evaluate` and the Auto classes open.
    if trainer.is_world_process_zero():
        recommender.model.cpu().eval()
        print(f"saved {recommender.save_pretrained(output_dir / 'model')}")


if __name__ == "__main__":
    main()
