"""Who may use the staff page: passwords, sessions, and how often somebody may try. The only file that knows argon2."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import argon2
from starlette.requests import Request
from starlette.routing import Match

from ragbot.errors import RagbotError, SettingsError
from ragbot.web.limiting import SignInLimiter

COOKIE = "ragbot_staff"
# SAFETY 15: idle 30 minutes, absolute 12 hours.
IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
LEAST_PASSWORD_CHARACTERS = 12
# A hash takes 64 MB by design, so few are made at a time; whoever would wait behind ten others is asked to come back.
MOST_HASHING, MOST_WAITING = 2, 10
ENDED = "Your session has ended. Sign in again."
ENDED_WHILE_WRITING = "Your session has ended. Sign in; your words are still in the page before (go back twice)."
TRIES_USED_UP = {
    "visitor": ("Too many wrong passwords.", "Wait five minutes."),
    "name": ("Too many wrong passwords for this name.", "Wait an hour, or sign in from where you did before."),
}


class SignInRefusedError(RagbotError):
    """A password that was not even looked at: too many were wrong, or too many people sign in at once."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person: the name, the token that every form has to bring back, and when it began (seconds of a monotonic clock)."""

    name: str
    csrf: str
    began: float


class SignIn:
    """Checks passwords and keeps sessions, in memory only: a restart signs everybody out."""

    def __init__(self, staff: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._staff: dict[str, tuple[str, str]] = {}
        for name, password_hash in staff.items():
            try:
                argon2.extract_parameters(password_hash)
            except (argon2.exceptions.InvalidHashError, ValueError) as error:
                raise SettingsError(f"The password hash of {name!r} in 'staff' cannot be used.", "Make one with: ragbot staff password") from error
            if other := self._staff.get(_name_key(name)):
                raise SettingsError(f"{other[0]!r} and {name!r} in 'staff' are the same name but for capitals.", "Keep one of them.")
            self._staff[_name_key(name)] = (name, password_hash)
        self._clock = clock
        self._hasher = argon2.PasswordHasher()
        # Checked for names that do not exist, so that the time taken tells nobody which names do.
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._limiter = SignInLimiter()
        self._sessions: dict[str, tuple[Session, float]] = {}
        self._lock = threading.Lock()
        # Threads of its own: those that serve the pages are not held up by hashing, and no event loop is tied to it.
        self._hashing = ThreadPoolExecutor(MOST_HASHING, thread_name_prefix="ragbot-sign-in")
        self._queued = 0

    def admits(self, visitor: str) -> bool:
        """Whether this visitor may try a password now; bad tries are what counts."""
        return self._limiter.admits(visitor)

    async def sign_in_in_turn(self, name: str, password: str, visitor: str) -> str | None:
        """Like ``sign_in``, off the event loop and at most two at once.

        Raises:
            SignInRefusedError: as ``sign_in``, or too many are waiting.
        """
        with self._lock:
            if self._queued >= MOST_HASHING + MOST_WAITING:
                raise SignInRefusedError("Too many people are signing in.", "Try again in a moment.")
            self._queued += 1
        trying = self._hashing.submit(self.sign_in, name, password, visitor)
        trying.add_done_callback(self._leave_queue)
        return await asyncio.wrap_future(trying)

    def _leave_queue(self, _: Future[str | None]) -> None:
        with self._lock:
            self._queued -= 1

    def sign_in(self, name: str, password: str, visitor: str) -> str | None:
        """The token of a new session, or None where name and password do not match. Takes some hundredths of a second by design.

        Raises:
            SignInRefusedError: too many bad passwords by this visitor, or for this name.
        """
        key = _name_key(name)
        if used_up := self._limiter.begin(visitor, key):
            raise SignInRefusedError(*TRIES_USED_UP[used_up])
        spelled, password_hash = self._staff.get(key, (None, self._nobody))
        good = False
        try:
            # The order matters: a name that does not exist takes as long as one that does.
            good = self._verifies(password_hash, password) and spelled is not None
        finally:
            self._limiter.end(visitor, key, good=good)
        if not good or spelled is None:
            return None
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._sessions = {key: value for key, value in self._sessions.items() if self._alive(*value, now)}
            self._sessions[_key(token)] = (Session(spelled, secrets.token_urlsafe(32), now), now)
        return token

    def _verifies(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _normal(password))
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError, UnicodeEncodeError):
            return False

    def session(self, token: str | None) -> Session | None:
        """The session of a cookie, or None where there is none, it was idle for too long, or is too old. Looking counts as use."""
        if not token:
            return None
        now = self._clock()
        with self._lock:
            found = self._sessions.get(_key(token))
            if found is None or not self._alive(*found, now):
                self._sessions.pop(_key(token), None)
                return None
            self._sessions[_key(token)] = (found[0], now)
            return found[0]

    def sign_out(self, token: str | None) -> None:
        """Ends a session at once."""
        with self._lock:
            self._sessions.pop(_key(token or ""), None)

    @staticmethod
    def _alive(session: Session, used: float, now: float) -> bool:
        return now - used < IDLE_SECONDS and now - session.began < LONGEST_SECONDS


def brings_back(session: Session, token: object) -> bool:
    """Whether a form brought the session's token back."""
    return isinstance(token, str) and hmac.compare_digest(session.csrf.encode(), token.encode())


def safe_goal(value: object) -> str:
    """Where to go after signing in: what a form said if it is a page of staff on this very site, otherwise /staff."""
    own = isinstance(value, str) and re.fullmatch(r"/staff(?:[/?].*)?", value) and "//" not in value and "\\" not in value and value.isprintable()
    return str(value) if own else "/staff"


def goal_of(request: Request) -> str:
    """Where somebody who is not signed in wanted to go; after a form, the page at the same address if there is one."""
    if request.method in ("GET", "HEAD"):
        return safe_goal(f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path)
    as_page = {**request.scope, "method": "GET"}
    return safe_goal(request.url.path if any(route.matches(as_page)[0] is Match.FULL for route in request.app.routes) else None)


def hash_password(password: str) -> str:
    """The argon2id hash of a password, for the setting ``staff``.

    Raises:
        SettingsError: it has fewer than 12 characters.
    """
    password = _normal(password)
    if len(password) < LEAST_PASSWORD_CHARACTERS:
        raise SettingsError(f"A password needs at least {LEAST_PASSWORD_CHARACTERS} characters.", "A few unrelated words are easy to remember.")
    return argon2.PasswordHasher().hash(password)


def _normal(password: str) -> str:
    """A password as it is hashed: keyboards and systems send the same letters in different code points. Spaces at the ends stay."""
    return unicodedata.normalize("NFKC", password)


def _name_key(name: str) -> str:
    """Under what a name is looked up, whatever its capitals."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _key(token: str) -> str:
    """Under what a token is kept: whoever could read the memory's keys could not sign in with them."""
    return hashlib.sha256(token.encode()).hexdigest()
