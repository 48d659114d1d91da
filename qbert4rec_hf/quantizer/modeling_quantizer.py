"""Residual quantization of item embeddings, stage 2 of Q-BERT4Rec."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_quantizer import QBert4RecQuantizerConfig
from .kmeans_quantizer import k_means, squared_distances


@dataclass
class QBert4RecQuantizerOutput(ModelOutput):
    """What the quantizer returns.

    Losses and figures are named, as their total says little: it rises while the encoder spreads
    its outputs, although the reconstruction gets better all the time.

    Args:
        loss: reconstruction + codebook + commitment_weight * commitment; only when asked for.
        reconstruction_loss: mean squared error in units of the embeddings' variance (equation 7):
            0 is perfect, 1 is as bad as always answering their mean.
        codebook_loss: how far codewords lie from what they stand for, summed over levels.
        commitment_loss: the same distance, which moves the encoder instead (equation 8).
        codes: `[batch, levels]`.
        reconstruction: `[batch, input]`.
        usage: share of a level's codewords that the batch uses `[levels]`.
        perplexity: exponential of the entropy of their use `[levels]`; at most the codebook's size.
    """

    loss: torch.Tensor | None = None
    reconstruction_loss: torch.Tensor | None = None
    codebook_loss: torch.Tensor | None = None
    commitment_loss: torch.Tensor | None = None
    codes: torch.Tensor | None = None
    reconstruction: torch.Tensor | None = None
    usage: torch.Tensor | None = None
    perplexity: torch.Tensor | None = None


def codebook_use(
    codes: torch.Tensor, codebook_sizes: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Usage and perplexity of each level, both `[levels]`, of codes `[items, levels]`."""
    usage, perplexity = [], []
    for level, size in enumerate(codebook_sizes):
        counts = torch.bincount(codes[:, level], minlength=size)
        share = counts / max(len(codes), 1)
        usage.append((counts > 0).float().mean())
        perplexity.append(torch.special.entr(share).sum().exp())
    return torch.stack(usage), torch.stack(perplexity)


class QBert4RecMLP(nn.Sequential):
    """Linear layers with ReLU between them."""

    def __init__(self, sizes: list[int]) -> None:
        layers = []
        for size, following in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(size, following), nn.ReLU()]
        super().__init__(*layers[:-1])


class QBert4RecCodebook(nn.Module):
    """The codewords of one level, and how much each has been used of late."""

    def __init__(self, size: int, dim: int, *, decay: float, revival_threshold: float) -> None:
        super().__init__()
        self.decay = decay
        self.revival_threshold = revival_threshold
        self.weight = nn.Parameter(torch.zeros(size, dim))
        self.register_buffer("recent_use", torch.full((size,), 1.0 / size))

    @torch.no_grad()
    def start(self, residual: torch.Tensor, *, iterations: int, seed: int) -> None:
        """Places the codewords by k-means over residuals `[items, dim]`."""
        self.weight.copy_(
            k_means(residual.float(), len(self.weight), iterations=iterations, seed=seed)
        )
        self.recent_use.fill_(1.0 / len(self.weight))

    def forward(self, residual: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nearest codeword `[items]` and squared distances to all `[items, codewords]`."""
        distances = squared_distances(residual, self.weight)
        return distances.argmin(dim=1), distances

    @torch.no_grad()
    def revive(self, residual: torch.Tensor) -> None:
        """Moves codewords that hardly anything uses to residuals of this batch.

        It comes before the batch is quantized: afterwards the weights are part of the graph.
        """
        dead = (self.recent_use * len(self.weight) < self.revival_threshold).nonzero().flatten()
        if not len(dead):
            return
        rows = torch.randperm(len(residual), device=residual.device)[: len(dead)]
        dead = dead[: len(rows)]
        self.weight[dead] = residual[rows].to(self.weight.dtype)
        self.recent_use[dead] = 1.0 / len(self.weight)

    @torch.no_grad()
    def count(self, codes: torch.Tensor) -> None:
        """Takes the codes `[items]` of a batch into the moving share of use."""
        share = torch.bincount(codes, minlength=len(self.weight)) / len(codes)
        self.recent_use.lerp_(share.to(self.recent_use.dtype), 1 - self.decay)


class QBert4RecQuantizerPreTrainedModel(PreTrainedModel):
    """Loading, saving and initialisation of the quantizer family."""

    config_class = QBert4RecQuantizerConfig
    base_model_prefix = "quantizer"
    main_input_name = "embeddings"
    # There is no attention here; without this, asking for sdpa as for any other model is an error.
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        if isinstance(module, nn.Linear):
            # Wide enough that a signal passes all layers; 0.02 would make every code the same.
            init.xavier_normal_(module.weight, gain=nn.init.calculate_gain("relu"))
            init.zeros_(module.bias)
        elif isinstance(module, QBert4RecCodebook):
            init.normal_(module.weight, std=1.0)
            init.constant_(module.recent_use, 1.0 / len(module.weight))
        elif isinstance(module, QBert4RecQuantizerModel):
            init.zeros_(module.input_mean)
            init.ones_(module.input_scale)
            init.zeros_(module.initialized)


class QBert4RecQuantizerModel(QBert4RecQuantizerPreTrainedModel):
    """Turns an embedding into K codes and back.

    "rqvae": an MLP encodes the embedding, each level takes the codeword nearest to what the
    levels before left over (equation 6), and a second MLP decodes the sum of the codewords. The
    gradient of the reconstruction passes the choice of codewords straight through to the encoder.
    "residual_kmeans": the same levels on the embedding itself; `initialize` is all its training.

    Embeddings are centred and divided by one common scale first, both taken from the data by
    `initialize`. That keeps directions, and makes losses and learning rates mean the same for
    embeddings of any size. A model in training mode that was not initialised does so on its first
    batch. Codewords that fall out of use are revived in training (see the configuration).

    Source: section 3.4 of the Q-BERT4Rec paper; Zeghidour et al. 2021 (SoundStream) for k-means
    starts and revival.

    Example:
        >>> import torch
        >>> from qbert4rec_hf import QBert4RecQuantizerConfig, QBert4RecQuantizerModel
        >>> model = QBert4RecQuantizerModel(QBert4RecQuantizerConfig(input_size=8, codebook_size=4))
        >>> model.initialize(torch.randn(100, 8))
        >>> codes, distances = model.encode(torch.randn(3, 8))
        >>> codes.shape, distances.shape
        (torch.Size([3, 4]), torch.Size([3, 4, 4]))
    """

    def __init__(self, config: QBert4RecQuantizerConfig) -> None:
        super().__init__(config)
        self.is_rqvae = config.quantizer_type == "rqvae"
        self.encoder = QBert4RecMLP(config.encoder_sizes) if self.is_rqvae else nn.Identity()
        self.decoder = QBert4RecMLP(config.encoder_sizes[::-1]) if self.is_rqvae else nn.Identity()
        self.codebooks = nn.ModuleList(
            QBert4RecCodebook(
                size,
                config.codebook_dim if self.is_rqvae else config.input_size,
                decay=config.usage_decay,
                revival_threshold=config.revival_threshold,
            )
            for size in config.codebook_sizes
        )
        self.register_buffer("input_mean", torch.zeros(config.input_size))
        self.register_buffer("input_scale", torch.ones(1))
        self.register_buffer("initialized", torch.zeros(1, dtype=torch.bool))
        self.post_init()
        if not self.is_rqvae:
            self.codebooks.requires_grad_(False)

    @property
    def codebook_sizes(self) -> list[int]:
        """Codewords of each level `[levels]`."""
        return self.config.codebook_sizes

    @torch.no_grad()
    def initialize(self, embeddings: torch.Tensor, *, seed: int = 0) -> None:
        """Takes mean and scale from embeddings `[items, input]` and places the codewords.

        Args:
            embeddings: all of them, or as many as there are.
            seed: of k-means.

        Raises:
            ValueError: no embeddings, or some of another size.
        """
        self._check(embeddings)
        if not len(embeddings):
            raise ValueError("there are no embeddings to take codewords from; give some")
        embeddings = embeddings.to(self.input_mean)
        self.input_mean.copy_(embeddings.mean(0))
        spread = (embeddings - self.input_mean).square().mean().sqrt()
        # Equal embeddings have no spread; any scale does for them.
        self.input_scale.copy_(torch.where(spread > 1e-8, spread, torch.ones_like(spread)))
        residual = self.encoder(self._standardize(embeddings))
        for level, codebook in enumerate(self.codebooks):
            codebook.start(residual, iterations=self.config.kmeans_iterations, seed=seed + level)
            codes, _ = codebook(residual)
            residual = residual - codebook.weight[codes]
        self.initialized.fill_(True)

    def forward(
        self, embeddings: torch.Tensor, return_loss: bool = True
    ) -> QBert4RecQuantizerOutput:
        """Quantizes a batch and computes the loss (equation 9).

        Args:
            embeddings: `[batch, input]`.
            return_loss: whether to compute the losses.

        Raises:
            ValueError: embeddings of another size.
        """
        self._check(embeddings)
        if self.training and not self.initialized:
            self.initialize(embeddings.detach())
        inputs = self._standardize(embeddings)
        residual = latent = self.encoder(inputs)
        codes, codebook_loss, commitment_loss = [], 0.0, 0.0
        quantized = torch.zeros_like(latent)
        for codebook in self.codebooks:
            if self.training and self.is_rqvae:
                codebook.revive(residual)
            chosen, _ = codebook(residual.detach())
            if self.training and self.is_rqvae:
                codebook.count(chosen)
            codeword = codebook.weight[chosen]
            codebook_loss = codebook_loss + F.mse_loss(codeword, residual.detach())
            commitment_loss = commitment_loss + F.mse_loss(residual, codeword.detach())
            residual = residual - codeword.detach()
            quantized = quantized + codeword.detach()
            codes.append(chosen)
        # Straight through: the decoder sees the codewords, the gradient goes to the encoder.
        decoded = self.decoder(latent + (quantized - latent).detach())
        codes = torch.stack(codes, dim=1)
        usage, perplexity = codebook_use(codes, self.codebook_sizes)
        output = QBert4RecQuantizerOutput(
            codes=codes,
            reconstruction=decoded * self.input_scale + self.input_mean,
            usage=usage,
            perplexity=perplexity,
        )
        if return_loss:
            output.reconstruction_loss = F.mse_loss(decoded, inputs)
            output.codebook_loss = codebook_loss
            output.commitment_loss = commitment_loss
            output.loss = (
                output.reconstruction_loss
                + codebook_loss
                + self.config.commitment_weight * commitment_loss
            )
        return output

    @torch.no_grad()
    def encode(
        self, embeddings: torch.Tensor, *, batch_size: int = 4096
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes of embeddings, and what reallocation of colliding items needs.

        Args:
            embeddings: `[items, input]`.
            batch_size: rows that are computed at a time.

        Returns:
            Codes `[items, levels]` of int64, and squared distances `[items, levels, codewords]`
            from the residual at a level to its codewords (equation 10). Where levels differ in
            size, the last axis is as long as the largest and filled up with infinity.

        Raises:
            ValueError: embeddings of another size.
        """
        self._check(embeddings)
        codes = embeddings.new_zeros(len(embeddings), len(self.codebooks), dtype=torch.long)
        distances = self.input_mean.new_full(
            (*codes.shape, max(self.codebook_sizes)), float("inf"), device=embeddings.device
        )
        for start in range(0, len(embeddings), batch_size):
            rows = slice(start, start + batch_size)
            residual = self.encoder(self._standardize(embeddings[rows]))
            for level, codebook in enumerate(self.codebooks):
                chosen, found = codebook(residual)
                codes[rows, level] = chosen
                distances[rows, level, : found.shape[1]] = found
                residual = residual - codebook.weight[chosen]
        return codes, distances

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """The embeddings `[items, input]` that codes `[items, levels]` stand for.

        Raises:
            ValueError: codes outside their codebook, or another number of levels.
        """
        sizes = torch.tensor(self.codebook_sizes, device=codes.device)
        if codes.dim() != 2 or codes.shape[1] != len(sizes):
            raise ValueError(
                f"codes have shape {list(codes.shape)}; expected [items, {len(sizes)}]"
            )
        outside = ((codes < 0) | (codes >= sizes)).nonzero()
        if len(outside):
            row, level = outside[0].tolist()
            raise ValueError(
                f"code {int(codes[row, level])} in row {row}, level {level} is outside the "
                f"codebook of {int(sizes[level])} codewords"
            )
        quantized = sum(book.weight[codes[:, level]] for level, book in enumerate(self.codebooks))
        return self.decoder(quantized) * self.input_scale + self.input_mean

    def _standardize(self, embeddings: torch.Tensor) -> torch.Tensor:
        return (embeddings.to(self.input_mean.dtype) - self.input_mean) / self.input_scale

    def _check(self, embeddings: torch.Tensor) -> None:
        if embeddings.dim() != 2 or embeddings.shape[1] != self.config.input_size:
            raise ValueError(
                f"embeddings have shape {list(embeddings.shape)}; this quantizer takes "
                f"[items, {self.config.input_size}]"
            )


QBert4RecQuantizerModel.register_for_auto_class("AutoModel")

__all__ = ["QBert4RecQuantizerModel", "QBert4RecQuantizerPreTrainedModel"]
