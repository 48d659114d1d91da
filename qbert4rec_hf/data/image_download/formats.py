"""Recognising pictures by their first bytes."""

from __future__ import annotations

HEAD_BYTES = 64

# Pillow's names. Only what shops serve: further formats would let strangers reach further decoders.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF")
# What these decoders give is exactly what the shop's designer drew.
LOSSLESS = ("PNG", "GIF", "BMP")


def picture_format(head: bytes) -> str | None:
    """The format of a file, one of `FORMATS`; None for anything else.

    Args:
        head: its first `HEAD_BYTES`, or all of a shorter file.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and (b"avif" in head[8:] or b"avis" in head[8:]):
        return "AVIF"
    # Two letters alone are too few: four zero bytes stand where the file's authors reserved them.
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "BMP"
    return None


def describe_body(head: bytes, content_type: str) -> str:
    """What a file is instead of a picture, in a few words."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        kind = "empty"
    elif text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        kind = "an HTML page"
    elif b"<svg" in text:
        kind = "a vector drawing"
    elif text.startswith((b"<", b"{", b"[")):
        kind = "text"
    else:
        kind = "unknown bytes"
    declared = content_type.split(";")[0].strip()
    return f"{kind}, sent as {declared[:60]}" if declared else kind
