"""How many questions are answered side by side, and how many may wait for that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LOOK_SECONDS = 0.01


class NoSlotError(Exception):
    """As many wait already as may wait."""


class Slots:
    """Places for work that needs a core, first come, first served. To be used on one event loop.

    Args:
        count: how many work side by side.
        max_waiting: how many more may wait; the next one is turned away at once rather than kept.
    """

    def __init__(self, count: int, max_waiting: int) -> None:
        self._count = count
        self._max_waiting = max_waiting
        self._taken = 0
        self._semaphore: asyncio.Semaphore | None = None
        self._outside: Counter[str] = Counter()
        self._turn: asyncio.Lock | None = None

    @property
    def is_full(self) -> bool:
        """Whether the next one would be turned away."""
        return self._taken >= self._count + self._max_waiting

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Waits for a place, and holds it.

        Raises:
            NoSlotError: too many wait already.
        """
        if self.is_full:
            raise NoSlotError
        # Made late, because a semaphore belongs to the loop that first waits for it.
        self._semaphore = self._semaphore or asyncio.Semaphore(self._count)
        self._taken += 1
        try:
            async with self._semaphore:
                yield
        finally:
            self._taken -= 1

    async def wait_outside(self, who: str, below: int, max_outside: int, max_of_one: int, seconds: float) -> None:
        """Waits, first come, first served, until fewer than ``below`` work or wait for it, without taking a place yet.

        Args:
            who: for whom, so that one cannot fill all places.

        Raises:
            NoSlotError: ``max_outside`` wait here already, ``max_of_one`` of them for the same one, or it took longer than so many seconds.
        """
        if self._outside.total() >= max_outside or self._outside[who] >= max_of_one:
            raise NoSlotError
        self._turn = self._turn or asyncio.Lock()
        self._outside[who] += 1
        try:
            async with asyncio.timeout(seconds), self._turn:
                while self._taken >= below:
                    await asyncio.sleep(LOOK_SECONDS)
                # Whoever was let in takes a place a moment later.
                await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise NoSlotError from None
        finally:
            self._outside[who] -= 1
            if not self._outside[who]:
                del self._outside[who]
