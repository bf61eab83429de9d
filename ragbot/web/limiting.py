"""How often one visitor may ask, or try a password. The only file that knows limits."""

from __future__ import annotations

from limits import RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from ragbot.settings import Settings

BAD_TRIES, TRY_MINUTES = 10, 5


class QuestionLimiter:
    """Counts questions by visitor in memory; nothing of a question is kept."""

    def __init__(self, settings: Settings) -> None:
        self._limits = (RateLimitItemPerMinute(settings.questions_per_minute), RateLimitItemPerDay(settings.questions_per_day))
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def admits(self, visitor: str) -> bool:
        """Whether this visitor may ask now; asking counts."""
        return all(self._limiter.hit(limit, visitor) for limit in self._limits)


class SignInLimiter:
    """Counts bad passwords by visitor: after ten in five minutes no more are tried (SAFETY 15)."""

    def __init__(self) -> None:
        self._limit = RateLimitItemPerMinute(BAD_TRIES, TRY_MINUTES)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def admits(self, visitor: str) -> bool:
        """Whether this visitor may try a password now; only bad tries count."""
        return self._limiter.test(self._limit, visitor)

    def count_bad_try(self, visitor: str) -> None:
        """Counts a password that did not match."""
        self._limiter.hit(self._limit, visitor)
