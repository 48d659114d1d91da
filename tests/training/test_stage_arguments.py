from __future__ import annotations

import torch

from qbert4rec_hf.training.stage_arguments import stage_arguments
from qbert4rec_hf.training.stage_settings import FusionSettings


def test_settings_arrive_and_a_stage_adds_its_own(tmp_path):
    settings = FusionSettings(epochs=3, batch_size=7, learning_rate=0.5, warmup=0.2, seed=9)
    found = stage_arguments(settings, str(tmp_path), logging_strategy="epoch")
    assert (found.num_train_epochs, found.per_device_train_batch_size) == (3, 7)
    assert (found.learning_rate, found.warmup_steps, found.seed) == (0.5, 0.2, 9)
    assert found.logging_strategy == "epoch" and found.report_to == []


def test_memory_is_pinned_only_for_a_gpu(tmp_path):
    pinned = stage_arguments(FusionSettings(), str(tmp_path)).dataloader_pin_memory
    assert pinned is torch.cuda.is_available()
