"""Who may use the staff page: passwords, sessions, and how often somebody may try. The only file that knows argon2."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import argon2

from ragbot.errors import SettingsError
from ragbot.web.limiting import SignInLimiter

COOKIE = "ragbot_staff"
# SAFETY 15: idle 30 minutes, absolute 12 hours.
IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
LEAST_PASSWORD_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person: the name, the token that every form has to bring back, and when it began (seconds of a monotonic clock)."""

    name: str
    csrf: str
    began: float


class SignIn:
    """Checks passwords and keeps sessions, in memory only: a restart signs everybody out."""

    def __init__(self, staff: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        for name, password_hash in staff.items():
            try:
                argon2.extract_parameters(password_hash)
            except (argon2.exceptions.InvalidHashError, ValueError) as error:
                raise SettingsError(f"The password hash of {name!r} in 'staff' cannot be used.", "Make one with: ragbot staff password") from error
        self._staff = dict(staff)
        self._clock = clock
        self._hasher = argon2.PasswordHasher()
        # Checked for names that do not exist, so that the time taken tells nobody which names do.
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._limiter = SignInLimiter()
        self._sessions: dict[str, tuple[Session, float]] = {}
        self._lock = threading.Lock()

    def admits(self, visitor: str) -> bool:
        """Whether this visitor may try a password now; bad tries are what counts."""
        return self._limiter.admits(visitor)

    def sign_in(self, name: str, password: str, visitor: str) -> str | None:
        """The token of a new session, or None where name and password do not match. Takes some hundredths of a second by design."""
        known = self._staff.get(name)
        try:
            self._hasher.verify(known or self._nobody, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            known = None
        if known is None:
            self._limiter.count_bad_try(visitor)
            return None
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._sessions = {key: value for key, value in self._sessions.items() if self._alive(*value, now)}
            self._sessions[_key(token)] = (Session(name, secrets.token_urlsafe(32), now), now)
        return token

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


def hash_password(password: str) -> str:
    """The argon2id hash of a password, for the setting ``staff``.

    Raises:
        SettingsError: it has fewer than 12 characters.
    """
    if len(password) < LEAST_PASSWORD_CHARACTERS:
        raise SettingsError(f"A password needs at least {LEAST_PASSWORD_CHARACTERS} characters.", "A few unrelated words are easy to remember.")
    return argon2.PasswordHasher().hash(password)


def _key(token: str) -> str:
    """Under what a token is kept: whoever could read the memory's keys could not sign in with them."""
    return hashlib.sha256(token.encode()).hexdigest()
