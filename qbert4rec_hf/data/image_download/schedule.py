"""Which address is asked next, so that no host is pressed and none holds up the others."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Job:
    """An address to fetch.

    Args:
        url: the address.
        host: its host, which limits and pauses apply to.
        attempt: tries that failed so far.
    """

    url: str
    host: str
    attempt: int = 0


@dataclass
class _Host:
    queue: deque[Job] = field(default_factory=deque)
    active: int = 0
    paused_until: float = 0.0
    failures: int = 0
    in_turn: bool = False


class Schedule:
    """Hands out jobs: hosts take turns, each with a limit, and pause when they ask for it.

    Times are seconds of a clock that the caller reads.

    Args:
        per_host: jobs of one host that are handed out at the same time.
        give_up_after: failures in a row after which a host counts as given up.
    """

    def __init__(self, per_host: int, give_up_after: int) -> None:
        self._per_host = per_host
        self._give_up_after = give_up_after
        self._hosts: dict[str, _Host] = {}
        self._turns: deque[str] = deque()
        # (when, number of entry, host, its job or None where the whole host pauses); the number
        # keeps the order of equal times.
        self._later: list[tuple[float, int, str, Job | None]] = []
        self._entries = 0
        self._left = 0

    def __len__(self) -> int:
        """Jobs that are not finished, handed out ones included."""
        return self._left

    def add(self, job: Job) -> None:
        """Adds a job behind the others of its host."""
        self._hosts.setdefault(job.host, _Host()).queue.append(job)
        self._left += 1
        self._offer(job.host)

    def take(self, now: float) -> Job | None:
        """Hands out a job; None where none may be started now."""
        while self._later and self._later[0][0] <= now:
            _, _, name, job = heapq.heappop(self._later)
            if job is not None:
                self._hosts[name].queue.appendleft(job)
            self._offer(name)
        while self._turns:
            name = self._turns.popleft()
            host = self._hosts[name]
            host.in_turn = False
            if not host.queue or host.active >= self._per_host:
                continue
            if host.paused_until > now:
                self._wait_until(host.paused_until, name, None)
                continue
            host.active += 1
            job = host.queue.popleft()
            self._offer(name)
            return job
        return None

    def next_time(self) -> float | None:
        """When `take` may give a job again though none finishes; None where it will not."""
        return self._later[0][0] if self._later else None

    def retry(self, job: Job, when: float, *, pause_host: bool) -> None:
        """Takes a job back, to be handed out again.

        Args:
            job: as handed out.
            when: not before this time.
            pause_host: nor any other job of its host.
        """
        host = self._hosts[job.host]
        host.active -= 1
        job.attempt += 1
        if pause_host:
            host.paused_until = max(host.paused_until, when)
        self._wait_until(when, job.host, job)
        self._offer(job.host)

    def finish(self, job: Job, *, host_failed: bool) -> None:
        """Ends a job.

        Args:
            job: as handed out.
            host_failed: whether its host did not answer properly, to the last try.
        """
        host = self._hosts[job.host]
        host.active -= 1
        host.failures = host.failures + 1 if host_failed else 0
        self._left -= 1
        self._offer(job.host)

    def given_up(self, name: str) -> bool:
        """Whether a host failed so often in a row that asking it again is useless."""
        return self._hosts[name].failures >= self._give_up_after

    def _offer(self, name: str) -> None:
        host = self._hosts[name]
        if host.queue and host.active < self._per_host and not host.in_turn:
            host.in_turn = True
            self._turns.append(name)

    def _wait_until(self, when: float, name: str, job: Job | None) -> None:
        self._entries += 1
        heapq.heappush(self._later, (when, self._entries, name, job))
