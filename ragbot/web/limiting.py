"""How often one visitor may ask, or try a password. The only file that knows limits."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter, deque

from limits import RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from ragbot.settings import Settings

BAD_TRIES, TRY_MINUTES = 10, 5
# By name, from all addresses together. More than one address alone may try in an hour (120), so that it takes several to use them up.
NAME_TRIES_PER_HOUR = 300
KNOWN_VISITORS = 20


class QuestionLimiter:
    """Counts questions in memory, by conversation and by address; nothing of a question is kept.

    A conversation is what one person holds, so its limits are a person's. Its name comes from the browser, which can take a new one for
    every question; the limits by address are there for that, and are wide, because a whole clinic may sit behind one address.
    """

    def __init__(self, settings: Settings) -> None:
        self._by_conversation = (RateLimitItemPerMinute(settings.questions_per_minute), RateLimitItemPerDay(settings.questions_per_day))
        self._by_address = (RateLimitItemPerMinute(settings.questions_per_minute_from_address), RateLimitItemPerDay(settings.questions_per_day_from_address))
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def admits_conversation(self, conversation: str) -> bool:
        """Whether this conversation may ask now; asking counts."""
        return all(self._limiter.hit(limit, "conversation", conversation) for limit in self._by_conversation)

    def admits_address(self, address: str) -> bool:
        """Whether an event from this address is taken now; asking counts."""
        return all(self._limiter.hit(limit, "address", visitor_group(address)) for limit in self._by_address)


class SignInLimiter:
    """Counts bad passwords: ten in five minutes by visitor (SAFETY 15), 300 in an hour by the name that was tried.

    A try counts from the moment it begins, and is given back where the password was right, so that tries side by side are no way around.
    """

    # The count by name keeps many addresses from guessing on one person for ever, and trades that for a way to lock somebody out: who keeps
    # up 300 bad tries an hour, from three addresses or more, closes the name to addresses it was not used from. Where a person has signed
    # in before (since the last start), the name's count does not hold, only the visitor's own.

    def __init__(self) -> None:
        self._by_visitor = RateLimitItemPerMinute(BAD_TRIES, TRY_MINUTES)
        self._by_name = RateLimitItemPerHour(NAME_TRIES_PER_HOUR)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._known: dict[str, deque[str]] = {}
        self._lock = threading.Lock()

    def admits(self, visitor: str) -> bool:
        """Whether this visitor has bad tries left; asking does not count."""
        return self._limiter.test(self._by_visitor, visitor_group(visitor))

    def begin(self, visitor: str, name: str) -> str | None:
        """None where a password may be tried now, and then ``end`` has to follow; otherwise whose tries are used up, "visitor" or "name"."""
        visitor, name = visitor_group(visitor), _short(name)
        with self._lock:
            for whose, key, limit in (("visitor", visitor, self._by_visitor), ("name", name, self._by_name)):
                exempt = whose == "name" and visitor in self._known.get(name, ())
                if not exempt and not self._limiter.test(limit, key, cost=1 + self._under_way[whose, key]):
                    return whose
            self._under_way.update((("visitor", visitor), ("name", name)))
        return None

    def end(self, visitor: str, name: str, *, good: bool) -> None:
        """Ends a try: counts it where the password was wrong, remembers the visitor where it was right."""
        visitor, name = visitor_group(visitor), _short(name)
        with self._lock:
            for key in (("visitor", visitor), ("name", name)):
                self._under_way[key] -= 1
                if not self._under_way[key]:
                    del self._under_way[key]
            if good:
                # The one used last stands last, so that the one not used for longest is forgotten first.
                others = (one for one in self._known.get(name, ()) if one != visitor)
                self._known[name] = deque((*others, visitor), maxlen=KNOWN_VISITORS)
                return
            self._limiter.hit(self._by_visitor, visitor)
            if visitor not in self._known.get(name, ()):
                self._limiter.hit(self._by_name, name)


def visitor_group(address: str) -> str:
    """Under what a visitor is counted: an IPv4 address by itself, an IPv6 address by its /64, which is one household or one server."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed), 64), strict=False))
    return str(parsed)


def _short(name: str) -> str:
    """What is kept of a name that anybody may send."""
    return name[:100]
