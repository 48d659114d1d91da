"""Small inputs that the tests of stages 1 and 2 share."""

from __future__ import annotations

import logging

import numpy as np
import torch

from qbert4rec_hf.features.store import ItemFeatures, ModalityFeatures


def make_features(items=48, seed=0, modalities=("text", "image")):
    """Items in 8 groups; the first has nothing, every fifth lacks the image."""
    random = np.random.default_rng(seed)
    group = random.integers(8, size=items)
    parts = {}
    for number, name in enumerate(modalities):
        centres = random.normal(size=(8, 1, 6 + number))
        vectors = centres[group] + 0.3 * random.normal(size=(items, 2, 6 + number))
        mask = np.ones((items, 2), bool)
        mask[::3, 1] = False
        mask[0] = False
        if name == "image":
            mask[::5] = False
        parts[name] = ModalityFeatures(vectors, mask)
    return ItemFeatures([f"item{n}" for n in range(items)], parts)


def make_views(items=120, size=8, seed=0):
    """Two views of clustered embeddings, a little apart."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(12, size, generator=generator)
    rows = torch.randint(12, (items,), generator=generator)
    own = centres[rows] + 0.2 * torch.randn(items, size, generator=generator)
    return [own, own + 0.01 * torch.randn(items, size, generator=generator)]


class StopTraining(Exception):
    """Stands for a machine that goes down."""


def stop_at_call(function, number):
    """Wraps a function so that its call of that number stops the training instead."""
    calls = []

    def wrapped(*args, **kwargs):
        calls.append(None)
        if len(calls) == number:
            raise StopTraining
        return function(*args, **kwargs)

    return wrapped


class Messages(logging.Handler):
    """Collects what a logger says, since that of transformers does not pass it on."""

    def __init__(self, logger):
        super().__init__()
        self.logger, self.texts = logger, []

    def emit(self, record):
        self.texts.append(record.getMessage())

    def __enter__(self):
        self.logger.addHandler(self)
        return self.texts

    def __exit__(self, *_):
        self.logger.removeHandler(self)
