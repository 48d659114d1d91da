"""Fetches many addresses at a time and keeps what came."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...files import atomic_file
from .addresses import Lookup, checked_url
from .client import PictureClient
from .failure import GIVEN_UP, DownloadFailure
from .manifest import FAILED, IMAGES_FOLDER, OK, Manifest, ManifestEntry
from .schedule import Job, Schedule
from .settings import DownloadSettings
from .stored_picture import stored_picture

# Seconds before the next try: of the number of tries that failed (from 1) and of what the server
# asked for (None where it did not say).
Delay = Callable[[int, float | None], float]


def growing_delay(settings: DownloadSettings) -> Delay:
    """Doubles with each try and is spread at random, so that not all come back at once.

    A server's own wish comes first; both end at `settings.longest_delay`.
    """

    def delay(failed: int, asked: float | None) -> float:
        grown = settings.first_delay * 2 ** (failed - 1) * random.uniform(0.5, 1.5)
        return min(settings.longest_delay, max(grown, asked or 0.0))

    return delay


class Fetcher:
    """Fetches addresses into a domain folder.

    Args:
        folder: the domain folder.
        manifest: open; knows what is there already, and gets an entry for each address.
        settings: limits.
        delay: before further tries; `growing_delay` by default.
        lookup: of host names, in place of the system's.
        on_finished: called with each new entry.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        settings: DownloadSettings,
        *,
        delay: Delay | None = None,
        lookup: Lookup | None = None,
        on_finished: Callable[[ManifestEntry], None] = lambda entry: None,
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._settings = settings
        self._delay = delay or growing_delay(settings)
        self._lookup = lookup
        self._on_finished = on_finished
        self._schedule = Schedule(settings.per_host, settings.give_up_after)
        # What is stored already, by the digest of what the server sent: the same bytes are decoded
        # and stored once, however many addresses give them.
        self._stored = {
            entry.sha256: entry for entry in manifest.entries.values() if entry.file is not None
        }
        self._storing: dict[str, asyncio.Future[ManifestEntry]] = {}

    def run(self, urls: Iterable[str]) -> None:
        """Fetches all of these addresses.

        Raises:
            QBert4RecError: what came cannot be written.
        """
        _run_anywhere(lambda: self._run(urls))

    async def _run(self, urls: Iterable[str]) -> None:
        for url in urls:
            self._add(url)
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()
        # Decoding is work for processors; more threads than those would only hold memory.
        with ThreadPoolExecutor(max_workers=max(1, min(8, os.cpu_count() or 1))) as pool:
            async with PictureClient(self._settings, lookup=self._lookup) as client:
                try:
                    while len(self._schedule):
                        while len(tasks) < self._settings.concurrency:
                            job = self._schedule.take(loop.time())
                            if job is None:
                                break
                            tasks.add(loop.create_task(self._one(job, client, pool)))
                        wait = _until(self._schedule.next_time(), loop.time())
                        if not tasks:
                            await asyncio.sleep(wait or 0.0)
                            continue
                        done, tasks = await asyncio.wait(
                            tasks,
                            timeout=None if len(tasks) == self._settings.concurrency else wait,
                            return_when=asyncio.FIRST_COMPLETED,
                        )
                        # Not one by one: of several that failed none goes unheard.
                        await asyncio.gather(*done)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    pool.shutdown(wait=False, cancel_futures=True)

    def _add(self, url: str) -> None:
        try:
            checked = checked_url(url, allow_private=self._settings.allow_private_addresses)
        except DownloadFailure as failure:
            self._finish(_failed(url, failure))
        else:
            self._schedule.add(Job(url, checked.raw_host or ""))

    async def _one(self, job: Job, client: PictureClient, pool: ThreadPoolExecutor) -> None:
        try:
            if self._schedule.given_up(job.host):
                raise DownloadFailure(
                    GIVEN_UP,
                    f"{self._settings.give_up_after} addresses in a row failed",
                    host_at_fault=True,
                )
            body = await client.fetch(job.url)
            entry = await self._keep(job.url, body, pool)
        except DownloadFailure as failure:
            if failure.transient and job.attempt < self._settings.retries:
                when = asyncio.get_running_loop().time()
                when += self._delay(job.attempt + 1, failure.retry_after)
                self._schedule.retry(job, when, pause_host=failure.host_busy)
                return
            entry = _failed(job.url, failure)
            self._schedule.finish(job, host_failed=failure.host_at_fault)
        else:
            self._schedule.finish(job, host_failed=False)
        self._finish(entry)

    async def _keep(self, url: str, body: bytes, pool: ThreadPoolExecutor) -> ManifestEntry:
        """Stores what came, unless the same bytes are there already."""
        digest = hashlib.sha256(body).hexdigest()
        stored = self._stored.get(digest)
        if stored is None:
            if digest not in self._storing:
                self._storing[digest] = asyncio.get_running_loop().run_in_executor(
                    pool, self._store, url, digest, body
                )
            try:
                stored = await self._storing[digest]
                self._stored[digest] = stored
            finally:
                self._storing.pop(digest, None)
        # What is stored may count as a placeholder so far.
        return replace(stored, url=url, status=OK, reason="", detail="")

    def _store(self, url: str, digest: str, body: bytes) -> ManifestEntry:
        picture = stored_picture(body, self._settings)
        # Named by content: nothing that a stranger wrote is part of a path, and doing the same
        # download again gives the same names.
        name = f"{IMAGES_FOLDER}/{digest[:2]}/{digest[:32]}{picture.suffix}"
        with atomic_file(self._folder / name) as temporary:
            temporary.write_bytes(picture.data)
        return ManifestEntry(
            url=url,
            status=OK,
            file=name,
            bytes=len(body),
            sha256=digest,
            width=picture.width,
            height=picture.height,
        )

    def _finish(self, entry: ManifestEntry) -> None:
        self._manifest.add(entry)
        self._on_finished(entry)


def _failed(url: str, failure: DownloadFailure) -> ManifestEntry:
    return ManifestEntry(url=url, status=FAILED, reason=failure.reason, detail=failure.detail)


def _until(when: float | None, now: float) -> float | None:
    return None if when is None else max(0.0, when - now)


def _run_anywhere(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine to its end, also inside a notebook, whose own loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work())
        return
    cancel: list[Callable[[], object]] = []

    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        await work()

    with ThreadPoolExecutor(max_workers=1) as thread:
        future = thread.submit(lambda: asyncio.run(main()))
        try:
            future.result()
        except KeyboardInterrupt:
            # It came to this thread; the other one must not go on in the background.
            for stop in cancel:
                stop()
            raise
