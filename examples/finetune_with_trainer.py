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

# 2. Histories without validation and test items, as rows of the catalogue, and masks on them.
rows = [row.tolist() for row in domain.split().train if len(row) > 1]
collator = DataCollatorForMultiMask(recommender.catalog.tokens(), ratios={"last": 0.0})

# 3. A plain Trainer; each push is a whole model folder.
trainer = Trainer(
    model=recommender.model,
    args=TrainingArguments(
        repo_id.split("/")[-1],
        num_train_epochs=2,
        per_device_train_batch_size=64,
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
