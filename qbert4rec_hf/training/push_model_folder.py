"""What a `Trainer(push_to_hub=True)` uploads becomes a whole model folder, without pickles."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Arguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..columns import CARD_FILE
from ..errors import QBert4RecError
from ..files import write_text
from ..hub_files.download import PICKLES
from ..hub_files.errors import explained
from ..ranking.pipeline_code import ENTRY, TASK, add_pipeline_code
from ..ranking.recommender import Recommender

IGNORE_FILE = ".gitignore"
_IGNORED = "".join(f"{pattern}\n" for pattern in PICKLES)


class PushModelFolder(TrainerCallback):
    """Puts everything that a recommender needs beside the weights that a Trainer pushes.

    By itself a Trainer pushes weights and tokenizer, so nobody knows the items or can open the
    repository without this package; and it pushes `training_args.bin`, a pickle. With this callback
    every push, also one in the middle of the training, is a folder that
    `Recommender.from_pretrained(repo_id)` opens: catalogue, tokenizer, code, encoders, fusion and
    quantizer lie beside the weights, and a `.gitignore` keeps pickles out, which the Hub heeds.

    Example:
        >>> from transformers import Trainer, TrainingArguments
        >>> from qbert4rec_hf import DataCollatorForMultiMask, PushModelFolder, Recommender
        >>> recommender = Recommender.from_pretrained("demo/run/model")
        >>> arguments = TrainingArguments(
        ...     "tuned", max_steps=1, remove_unused_columns=False, push_to_hub=True
        ... )
        >>> trainer = Trainer(
        ...     model=recommender.model,
        ...     args=arguments,
        ...     train_dataset=[{"items": [0, 1, 2]}, {"items": [2, 3]}],
        ...     data_collator=DataCollatorForMultiMask(recommender.catalog.tokens()),
        ...     processing_class=recommender.tokenizer,
        ...     callbacks=[PushModelFolder(recommender)],
        ... )
        >>> _ = trainer.train()
        >>> _ = trainer.push_to_hub()
        >>> len(Recommender.from_pretrained(trainer.hub_model_id).recommend([], top_k=3))
        3

    Args:
        recommender: whose model is trained. Its card is not pushed: its figures are of the model
            as it was before. How model and item graph are mixed and re-ranked stays as it is;
            `ranking.fit_ranker` chooses that anew for the trained model.
    """

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender
        self._written: Path | None = None

    def on_train_begin(
        self,
        args: Arguments,
        state: TrainerState,
        control: TrainerControl,
        model: PreTrainedModel | None = None,
        **kwargs: Any,
    ) -> None:
        """Checks that the model is the recommender's, and writes what every push will hold.

        Raises:
            QBert4RecError: its catalogue is another one, or the Hub cannot be pushed to.
        """
        found = getattr(getattr(model, "config", None), "catalog_fingerprint", None)
        expected = self.recommender.catalog.fingerprint
        if model is not None and found != expected:
            raise QBert4RecError(
                f"the Trainer's model has a catalogue with the fingerprint {found}, the "
                f"recommender one with {expected}; train recommender.model"
            )
        if args.push_to_hub and state.is_world_process_zero:
            _keep_pickles_out(args)
            self.on_push_begin(args, state, control)

    def on_push_begin(
        self, args: Arguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Writes into the Trainer's folder what belongs to the model besides its weights."""
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir)
        if self._written != folder:
            self._write(folder)
            self._written = folder
        # The configuration goes up as the Trainer saves it: that of the checkpoint while it trains,
        # that of the model at the end. A save leaves out pipelines whose code is not beside it.
        checkpoint = folder / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        if (checkpoint / "config.json").is_file():
            add_pipeline_code(checkpoint)
        self.recommender.model.config.custom_pipelines = {TASK: dict(ENTRY)}

    def on_train_end(
        self, args: Arguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leaves the recommender ready to recommend: a Trainer leaves dropout on."""
        self.recommender.model.eval()

    def _write(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            whole = self.recommender.save_pretrained(Path(temporary) / "model")
            for path in sorted(whole.rglob("*")):
                name = path.relative_to(whole)
                if path.is_file() and not _of_the_trainer(name):
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, folder / name)
        write_text(folder / IGNORE_FILE, _IGNORED)


def _keep_pickles_out(args: Arguments) -> None:
    """Puts the `.gitignore` onto the Hub before anything else.

    Checkpoints may go up by themselves (`hub_strategy`), with the optimizer's state as pickles.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=args.hub_token)
    name = args.hub_model_id or Path(args.output_dir).absolute().name
    with explained(name, revision=args.hub_revision, doing="push", token=args.hub_token):
        # The Trainer made it; this finds the owner where the name is given without one.
        repo_id = api.create_repo(name, private=args.hub_private_repo, exist_ok=True).repo_id
        api.upload_file(
            repo_id=repo_id,
            path_or_fileobj=_IGNORED.encode(),
            path_in_repo=IGNORE_FILE,
            revision=args.hub_revision,
            commit_message="Keep pickles out",
        )


def _of_the_trainer(name: Path) -> bool:
    """Whether the Trainer itself writes this file of the folder's root."""
    root = len(name.parts) == 1
    return root and (name.name in ("config.json", CARD_FILE) or name.match("model*.safetensors*"))
