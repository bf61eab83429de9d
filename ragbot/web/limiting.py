"""How often one visitor may ask. The only file that knows limits."""

from __future__ import annotations

from limits import RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from ragbot.settings import Settings


class QuestionLimiter:
    """Counts questions by visitor in memory; nothing of a question is kept."""

    def __init__(self, settings: Settings) -> None:
        self._limits = (RateLimitItemPerMinute(settings.questions_per_minute), RateLimitItemPerDay(settings.questions_per_day))
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def admits(self, visitor: str) -> bool:
        """Whether this visitor may ask now; asking counts."""
        return all(self._limiter.hit(limit, visitor) for limit in self._limits)
