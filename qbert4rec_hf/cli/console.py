"""What a verb that loads models does to this process before it works."""

from __future__ import annotations

import sys


def prepare(quiet: bool) -> None:
    """Registers the model families and keeps the terminal readable.

    The curves of a training are in its stage folder; on the terminal the Trainer's log lines would
    bury everything else, so that its bar alone is left, and only where someone looks at it.

    Args:
        quiet: no bars at all.
    """
    from transformers import trainer
    from transformers.utils import logging

    from .. import register
    from ..features.progress import show_bars

    register()
    # Of "loading weights" and the like there would be a dozen a run.
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    watched = sys.stderr.isatty() and not quiet
    trainer.DEFAULT_PROGRESS_CALLBACK = _progress_callback(watched)
    show_bars(watched)


def _progress_callback(watched: bool) -> type:
    from transformers import ProgressCallback, TrainerCallback

    class Bar(ProgressCallback):
        """The Trainer's progress bar without its log lines."""

        def on_log(self, args, state, control, logs=None, **kwargs):
            pass

    class Silence(TrainerCallback):
        """No bar where nobody looks at one."""

    return Bar if watched else Silence
