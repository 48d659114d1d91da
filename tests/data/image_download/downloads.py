"""What the tests of downloads do over and over."""

from __future__ import annotations

from pathlib import Path

from picture_server import numbered_picture

from qbert4rec_hf.data.domain import Domain
from qbert4rec_hf.data.image_download.download import download_images
from qbert4rec_hf.data.image_download.manifest import Manifest
from qbert4rec_hf.data.image_download.settings import DownloadSettings


def download(folder, *, delay=lambda failed, asked: 0.0, lookup=None, **settings):
    settings = {"allow_private_addresses": True, "timeout": 5.0} | settings
    return download_images(folder, DownloadSettings(**settings), delay=delay, lookup=lookup)


def listed(folder):
    return Domain.load(folder).items["images"].tolist()


def entries(folder):
    return Manifest(folder).entries


def numbered(handler, number):
    """A route that gives each path that is a number a picture of its own."""
    handler.reply(200, numbered_picture(int(Path(handler.path).stem)))
