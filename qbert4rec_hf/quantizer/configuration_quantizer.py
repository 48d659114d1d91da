"""Configuration of the quantizer, stage 2 of Q-BERT4Rec."""

from typing import Literal

try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    # In a repository of the Hub this file stands without its package, which checks versions.
    raise ImportError(
        "this model needs transformers 5.20 or newer; run pip install -U 'transformers>=5.20'"
    ) from error

FORMAT_VERSION = 1

# Fields that residual k-means has no use for, with the value that they then must have.
RQVAE_ONLY = {
    "codebook_dim": 32,
    "hidden_sizes": None,
    "commitment_weight": 0.25,
    "revival_threshold": 0.1,
    "usage_decay": 0.9,
    "checkpoint_rule": "collisions+reconstruction",
}


@strict
class QBert4RecQuantizerConfig(PreTrainedConfig):
    """Sizes of the codebooks and of the networks around them.

    The paper gives 4 levels, 256 codes of dimension 32 and an MLP with ReLU; what it leaves open
    is chosen here.

    Args:
        input_size: size of the embeddings to quantize.
        num_levels: codes an item, K.
        codebook_size: codewords a level, M; one number, or a list with one a level.
        codebook_dim: size of a codeword. RQ-VAE only.
        hidden_sizes: widths of the encoder's hidden layers; the decoder mirrors them. `None` is
            [512]. Published RQ-VAEs for semantic IDs narrow down over three or more layers; on
            Instruments one layer reconstructed more in the same time, and the codes of an item's
            two views agreed more often. RQ-VAE only.
        commitment_weight: beta of equation 8, which holds the encoder near the codewords; 0.25 as
            in VQ-VAE. RQ-VAE only.
        quantizer_type: "rqvae" trains encoder, decoder and codebooks; "residual_kmeans" fits
            codebooks to the embeddings themselves, level by level, without a network.
        kmeans_iterations: rounds of k-means for the start of each codebook (RQ-VAE) or for the
            codebook itself (residual k-means).
        revival_threshold: a codeword whose moving share of use falls below this part of an even
            share is dead, and starts anew at a vector of the current batch. 0 leaves the dead
            alone. RQ-VAE only.
        usage_decay: decay a batch of that moving share; 0.9 looks back over about 20 batches.
            RQ-VAE only.
        checkpoint_rule: which checkpoint is kept, by figures over all items after an evaluation;
            the lowest wins, the earliest among equals. "collisions+reconstruction": share of
            items whose codes are not unique plus share of variance not reconstructed.
            "collisions" and "reconstruction": that figure, the other among equals. "last": the
            end of training. RQ-VAE only.
        format_version: version of what these fields mean; a later one than this code knows is
            refused.

    Example:
        >>> from qbert4rec_hf import QBert4RecQuantizerConfig
        >>> QBert4RecQuantizerConfig(num_levels=2, codebook_size=[256, 512]).codebook_sizes
        [256, 512]
    """

    model_type = "qbert4rec_quantizer"

    input_size: int = 256
    num_levels: int = 4
    codebook_size: int | list[int] = 256
    codebook_dim: int = 32
    hidden_sizes: list[int] | None = None
    commitment_weight: float | int = 0.25
    quantizer_type: Literal["rqvae", "residual_kmeans"] = "rqvae"
    kmeans_iterations: int = 20
    revival_threshold: float | int = 0.1
    usage_decay: float | int = 0.9
    checkpoint_rule: Literal[
        "collisions+reconstruction", "collisions", "reconstruction", "last"
    ] = "collisions+reconstruction"
    format_version: int = FORMAT_VERSION

    @property
    def codebook_sizes(self) -> list[int]:
        """Codewords of each level `[levels]`."""
        if isinstance(self.codebook_size, int):
            return [self.codebook_size] * self.num_levels
        return list(self.codebook_size)

    @property
    def encoder_sizes(self) -> list[int]:
        """Widths of the encoder from input to codeword."""
        hidden = [512] if self.hidden_sizes is None else self.hidden_sizes
        return [self.input_size, *hidden, self.codebook_dim]

    def validate_format_version(self) -> None:
        """Refuses what a later version of this code wrote: it may mean something else."""
        if self.format_version > FORMAT_VERSION:
            raise ValueError(
                f"format_version {self.format_version} is later than this code reads "
                f"({FORMAT_VERSION}); update qbert4rec_hf"
            )

    def validate_sizes(self) -> None:
        """Refuses sizes and shares that cannot work."""
        if self.num_levels < 1 or len(self.codebook_sizes) != self.num_levels:
            raise ValueError(
                f"codebook_size {self.codebook_size} must be one number, or a list of num_levels "
                f"{self.num_levels} numbers"
            )
        if min(*self.codebook_sizes, *self.encoder_sizes, self.kmeans_iterations) < 1:
            raise ValueError(
                "input_size, codebook_size, codebook_dim, hidden_sizes and kmeans_iterations must "
                "all be 1 or more"
            )
        if not (0 <= self.usage_decay < 1 and 0 <= self.revival_threshold < 1):
            raise ValueError(
                f"usage_decay {self.usage_decay} and revival_threshold {self.revival_threshold} "
                "must be 0 or more and below 1"
            )
        if self.commitment_weight < 0:
            raise ValueError(f"commitment_weight {self.commitment_weight} must be 0 or more")

    def validate_quantizer_type(self) -> None:
        """Refuses settings that residual k-means would silently ignore."""
        if self.quantizer_type != "residual_kmeans":
            return
        for name, default in RQVAE_ONLY.items():
            if getattr(self, name) != default:
                raise ValueError(
                    f"{name} has no effect with quantizer_type 'residual_kmeans'; leave it out, "
                    "or choose 'rqvae'"
                )


QBert4RecQuantizerConfig.register_for_auto_class()

__all__ = ["QBert4RecQuantizerConfig"]
