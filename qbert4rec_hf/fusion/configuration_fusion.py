"""Configuration of the fusion model, stage 1 of Q-BERT4Rec."""

from typing import Any, Literal

try:
    from huggingface_hub.dataclasses import strict
    from transformers import PreTrainedConfig
except ImportError as error:
    # In a repository of the Hub this file stands without its package, which checks versions.
    raise ImportError(
        "this model needs transformers 5.20 or newer; run pip install -U 'transformers>=5.20'"
    ) from error

FORMAT_VERSION = 1


@strict
class QBert4RecFusionConfig(PreTrainedConfig):
    """Sizes and weights of the model that fuses an item's modalities into one vector.

    The paper gives the depth (at most 5 layers); what it leaves open is chosen here, with the
    reason beside each field.

    Args:
        modalities: name of each modality and the size of its feature vectors, for instance
            `{"text": 768, "image": 512}`. Any subset may be missing for an item.
        num_items: rows of the table of own ID queries; 0 leaves the shared query only.
        hidden_size: size H of the shared space and of the fused embedding.
        intermediate_size: width of a block's feed-forward network. Twice `hidden_size` rather
            than four times: a block sees a handful of vectors, not a sentence.
        max_layers: the largest number of blocks that an item passes (the paper: 5).
        num_attention_heads: heads of the cross-attention.
        dropout: dropout of attention output and feed-forward network.
        attention_temperature: tau of equation 3, the softmax over an item's several vectors of a
            modality. At 0.2 a vector whose cosine is higher by 0.2 counts 2.7 times as much.
        contrastive_temperature: temperature of the InfoNCE terms. On Instruments 0.1 did better
            than 0.3 (items bought next stood nearer to each other) and 0.05 no better than 0.1.
        consistency_weight: lambda of equation 5. Small, since the ID query itself says nothing
            about an item's content.
        id_dropout: share of items whose own query is replaced by the shared one in training. One
            half, as both views are used afterwards: own query for items that were trained,
            shared query for those that came later.
        query_noise: standard deviation of the random start of the own queries around the shared
            one. Small, so that the two views of an item start close together.
        depth: "dynamic" lets each item stop by itself; "fixed" takes all items through
            `max_layers` blocks.
        stop_threshold: an item stops once this share of its stopping probability is spent.
            Dynamic depth only.
        expected_depth: mean number of layers that the items are led to use, from 1 to
            `max_layers`. 2 is the median that the paper reports. Dynamic depth only.
        depth_weight: weight of the term that leads them there. Dynamic depth only.
        content_residual: add the mean of the aligned modality vectors to the output of the
            blocks, so that the fused embedding keeps the content that the semantic IDs are to
            express.
        layer_norm_eps: epsilon of the layer norms.
        initializer_range: standard deviation of newly made linear weights.
        catalog_fingerprint: names the catalogue that the own queries belong to; None if unknown.
            It is compared, never computed with.
        format_version: version of what these fields mean; a later one than this code knows is
            refused.

    Example:
        >>> from qbert4rec_hf import QBert4RecFusionConfig
        >>> config = QBert4RecFusionConfig(modalities={"text": 64, "image": 32}, num_items=600)
        >>> config.modality_names
        ['image', 'text']
    """

    model_type = "qbert4rec_fusion"

    modalities: dict[str, int] | None = None
    num_items: int = 0
    hidden_size: int = 256
    intermediate_size: int = 512
    max_layers: int = 5
    num_attention_heads: int = 4
    dropout: float | int = 0.1
    attention_temperature: float | int = 0.2
    contrastive_temperature: float | int = 0.1
    consistency_weight: float | int = 0.02
    id_dropout: float | int = 0.5
    query_noise: float | int = 0.02
    depth: Literal["dynamic", "fixed"] = "dynamic"
    stop_threshold: float | int = 0.75
    expected_depth: float | int = 2.0
    depth_weight: float | int = 1.0
    content_residual: bool = True
    layer_norm_eps: float = 1e-5
    initializer_range: float = 0.02
    catalog_fingerprint: str | None = None
    format_version: int = FORMAT_VERSION

    def __post_init__(self, **kwargs: Any) -> None:
        if self.modalities is None:
            self.modalities = {"text": 768, "image": 512}
        super().__post_init__(**kwargs)

    @property
    def modality_names(self) -> list[str]:
        """Names in the order of the modality axis: sorted, as JSON does not keep an order."""
        return sorted(self.modalities)

    def validate_format_version(self) -> None:
        """Refuses what a later version of this code wrote: it may mean something else."""
        if self.format_version > FORMAT_VERSION:
            raise ValueError(
                f"format_version {self.format_version} is later than this code reads "
                f"({FORMAT_VERSION}); update qbert4rec_hf"
            )

    def validate_modalities(self) -> None:
        """Refuses an empty set of modalities, and sizes that are not positive."""
        if not self.modalities:
            raise ValueError("modalities is empty; name at least one, as in {'text': 768}")
        for name, size in self.modalities.items():
            if size < 1:
                raise ValueError(f"modalities[{name!r}] is {size}; a vector has at least one axis")

    def validate_sizes(self) -> None:
        """Refuses sizes and shares that cannot work."""
        for name in ("hidden_size", "intermediate_size", "num_attention_heads", "max_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} cannot be shared among num_attention_heads "
                f"{self.num_attention_heads}; choose a multiple"
            )
        for name in ("num_items", "consistency_weight", "depth_weight", "query_noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if not 1 <= self.expected_depth <= self.max_layers:
            raise ValueError(
                f"expected_depth {self.expected_depth} must lie between 1 and max_layers "
                f"{self.max_layers}"
            )
        for name in ("attention_temperature", "contrastive_temperature"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("dropout", "id_dropout", "stop_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in 0 to 1")


QBert4RecFusionConfig.register_for_auto_class()

__all__ = ["QBert4RecFusionConfig"]
