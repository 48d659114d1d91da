"""Downloads the pictures of a domain folder and lists them in its items table."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from ...errors import QBert4RecError
from ...files import make_folder
from ..tables import is_url
from .addresses import Lookup
from .failure import PLACEHOLDER
from .fetcher import Delay, Fetcher
from .item_images import read_item_images, rewrite_item_images
from .manifest import FAILED, IMAGES_FOLDER, MANIFEST_FILE, OK, REPEATED, Manifest, ManifestEntry
from .settings import DownloadSettings

_LOCK_FILE = f"{IMAGES_FOLDER}/.lock"


@dataclass
class DownloadSummary:
    """What a download came to.

    Args:
        addresses: different addresses that were wanted.
        fetched: how many of them were asked for in this run.
        pictures: how many of them gave a picture, in this run or an earlier one.
        files: different files that these pictures are.
        reasons: how many gave none, by reason.
        items: items of the domain.
        items_with_picture: items that list at least one file that exists.
        missing_files: local files that items list and that do not exist.
        seconds: of fetching.
    """

    addresses: int = 0
    fetched: int = 0
    pictures: int = 0
    files: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    items: int = 0
    items_with_picture: int = 0
    missing_files: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Addresses that gave no picture."""
        return self.addresses - self.pictures


def download_images(
    folder: str | os.PathLike,
    settings: DownloadSettings | None = None,
    *,
    progress: bool = False,
    delay: Delay | None = None,
    lookup: Lookup | None = None,
) -> DownloadSummary:
    """Downloads the pictures whose addresses the items of a domain folder list.

    Files go to `images/` in the folder, what became of each address to `images/manifest.jsonl`.
    In the items table the column `images` then lists the files, beside local files that it listed
    already; all addresses move to the column `image_urls`, so that those that gave no picture can
    be tried again. The table changes at the end, in one step; an interrupted run leaves it as it
    was and goes on where it stopped.

    An address that gives no picture means that its item lacks one, never a failed run.

    Args:
        folder: the domain folder.
        settings: limits; the defaults of `DownloadSettings` if None.
        progress: show a bar with pictures a second and the remaining time.
        delay: seconds before a further try, in place of `fetcher.growing_delay`.
        lookup: of host names, in place of the system's.

    Raises:
        QBert4RecError: the folder holds no items table, another process downloads into it, or it
            cannot be written to.
    """
    folder = Path(folder)
    settings = settings or DownloadSettings()
    if not folder.is_dir():
        raise QBert4RecError(f"{folder} is not a folder; give the path of a domain folder")
    wanted = _wanted(folder, settings.max_images)
    if not wanted and not (folder / MANIFEST_FILE).exists():
        return _listed(folder, Manifest(folder), {}, settings, rewrite=False)
    with _lock(folder), Manifest(folder) as manifest:
        _forget_lost_files(folder, manifest)
        missing = [url for url in wanted if _is_missing(manifest.entries.get(url), settings)]
        started = time.monotonic()
        with tqdm(total=len(missing), unit=" pictures", disable=not progress) as bar:
            fetcher = Fetcher(
                folder,
                manifest,
                settings,
                delay=delay,
                lookup=lookup,
                on_finished=lambda entry: bar.update(),
            )
            if missing:
                fetcher.run(missing)
        seconds = time.monotonic() - started
        _mark_placeholders(manifest, settings.placeholder_repeats)
        manifest.save(wanted)
        summary = _listed(folder, manifest, wanted, settings, rewrite=True)
    summary.fetched = len(missing)
    summary.seconds = seconds
    return summary


def _wanted(folder: Path, max_images: int) -> dict[str, None]:
    """The addresses to fetch, each once, in the order of the items."""
    wanted: dict[str, None] = {}
    for _, urls in read_item_images(folder):
        wanted.update(dict.fromkeys(urls[:max_images]))
    return wanted


def _is_missing(entry: ManifestEntry | None, settings: DownloadSettings) -> bool:
    return entry is None or (entry.status == FAILED and settings.retry_failed)


def _forget_lost_files(folder: Path, manifest: Manifest) -> None:
    """Forgets what was fetched and is not there any more, so that it is fetched again."""
    present: dict[str, bool] = {}
    for entry in list(manifest.entries.values()):
        if entry.file is None:
            continue
        if entry.file not in present:
            present[entry.file] = (folder / entry.file).is_file()
        if not present[entry.file]:
            del manifest.entries[entry.url]


def _mark_placeholders(manifest: Manifest, repeats: int) -> None:
    """Tells pictures from what image hosts send in their place: the same bytes, again and again."""
    entries = [entry for entry in manifest.entries.values() if entry.file is not None]
    counts = Counter(entry.sha256 for entry in entries)
    for entry in entries:
        repeated = bool(repeats) and counts[entry.sha256] >= repeats
        if repeated:
            detail = f"the same bytes from {counts[entry.sha256]} addresses"
            marked = replace(entry, status=REPEATED, reason=PLACEHOLDER, detail=detail)
        else:
            marked = replace(entry, status=OK, reason="", detail="")
        manifest.entries[entry.url] = marked


def _listed(
    folder: Path,
    manifest: Manifest,
    wanted: Iterable[str],
    settings: DownloadSettings,
    *,
    rewrite: bool,
) -> DownloadSummary:
    """Lists what is there in the items table, and counts it."""
    summary = DownloadSummary()
    files = {url: entry.file for url, entry in manifest.entries.items() if entry.status == OK}
    ours = {entry.file for entry in manifest.entries.values() if entry.file is not None}
    for url in wanted:
        summary.addresses += 1
        if url in files:
            summary.pictures += 1
        else:
            summary.reasons[manifest.entries[url].reason] += 1
    summary.files = len({files[url] for url in wanted if url in files})

    def row(images: list[str], urls: list[str]) -> tuple[list[str], list[str]]:
        new = list_images(images, urls, files, ours)
        # Not Path.is_file, which raises for a name that is too long for any file.
        exist = [
            image in ours or os.path.isfile(folder / image) for image in new if not is_url(image)
        ]
        summary.items += 1
        summary.items_with_picture += any(exist)
        summary.missing_files += exist.count(False)
        return new, urls

    if rewrite:
        rewrite_item_images(folder, row)
    else:
        for images, urls in read_item_images(folder):
            row(images, urls)
    return summary


def list_images(
    images: list[str], urls: list[str], files: dict[str, str], ours: set[str]
) -> list[str]:
    """The new images of an item.

    Args:
        images: as listed so far: files, and addresses where nothing was downloaded yet.
        urls: all addresses of the item, in its order.
        files: file of each address that gave a picture.
        ours: all files that downloads ever made.

    Returns:
        The files, in the order of `images`. What was there stays, except addresses and files of
        ours that count as pictures no more.
    """
    good = {files[url] for url in urls if url in files}
    listed: dict[str, None] = {}
    for image in images:
        entry = files.get(image) if is_url(image) else image
        if entry is not None and (entry not in ours or entry in good):
            listed[entry] = None
    new = list(listed)
    # What came in a later run goes behind its predecessor among the addresses.
    place = 0
    for url in urls:
        file = files.get(url)
        if file is None:
            continue
        if file in listed:
            place = new.index(file) + 1
        else:
            new.insert(place, file)
            listed[file] = None
            place += 1
    return new


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Holds the images of a folder against other processes."""
    make_folder(folder / IMAGES_FOLDER)
    lock = FileLock(folder / _LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise QBert4RecError(
            f"another process downloads into {folder / IMAGES_FOLDER}; wait until it ends"
        ) from None
    except OSError as error:
        raise QBert4RecError(
            f"cannot lock {folder / IMAGES_FOLDER} ({error.strerror or error}); "
            "check the permissions of the folder"
        ) from None
    try:
        yield
    finally:
        lock.release()
