"""The demo: three small made-up shops with real structure to learn."""

from .shops import DEMO_PRETRAIN, DEMO_TARGET, make_demo_domains

__all__ = ["DEMO_PRETRAIN", "DEMO_TARGET", "make_demo_domains"]
