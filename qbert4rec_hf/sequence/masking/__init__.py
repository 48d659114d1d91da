"""Item masks: which items of a history the model has to predict. One file a mask.

Every mask is a function `(lengths [batch], ratio, generator) -> bool [batch, max(lengths)]` over
histories that start in column 0; True marks a hidden item. At least one item of a row is hidden
and, in rows of two or more, at least one is visible.
"""

from .last_item import mask_last_item
from .multi_region import mask_regions
from .random_items import mask_random_items
from .span import mask_span
from .tail import mask_tail

__all__ = [
    "mask_last_item",
    "mask_random_items",
    "mask_regions",
    "mask_span",
    "mask_tail",
]
