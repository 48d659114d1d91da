"""Fine-tunes a model folder on another domain with a plain `Trainer`, and pushes it to the Hub.

python examples/finetune_with_trainer.py demo/run/model other/domains/weekend OWNER/NAME
"""

import sys

from datasets import Dataset
from transformers import Trainer, TrainingArguments

from qbert4rec_hf import DataCollatorForMultiMask, Domain, PushModelFolder, Recommender

source, domain_folder, repo_id = sys.argv[1:]

# 1. The new domain's items get semantic IDs from their texts and images, without training.
domain = Domain.load(domain_folder)
recommender = Recommender.from_pretrained(source).for_domain(domain)

# 2. Every prefix of the histories, without validation and test items; its last item is masked.
rows = [row[:end].tolist() for row in domain.split().train for end in range(2, len(row) + 1)]
recommender.model.add_item_embeddings()
collator = DataCollatorForMultiMask(recommender.catalog.tokens(), ratios={"last": 0.0})
trainer = Trainer(
    model=recommender.model,
    args=TrainingArguments(
        repo_id.split("/")[-1],
        num_train_epochs=8,
        per_device_train_batch_size=64,
        learning_rate=1e-3,
        remove_unused_columns=False,
        push_to_hub=True,
        hub_model_id=repo_id,
    ),
    train_dataset=Dataset.from_dict({"items": rows}),
    data_collator=collator,
    processing_class=recommender.tokenizer,
    callbacks=[PushModelFolder(recommender)],
)
trainer.train()
trainer.push_to_hub()
