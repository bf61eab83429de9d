"""What must never be shown, wherever it turns up: password hashes, keys, tokens, and what an address holds beside the place it names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"
_SECRET_NAMES = re.compile(
    r"(?:^|[_.-])(?:keys?|apikey|tokens?|secrets?|password|passwd|passphrase|credentials?|auth|authorization|cookie|hash)(?:$|[_.-])", re.IGNORECASE
)
# Hashes as crypt and argon2 write them, keys as the makers of language models and clouds give them out, bearer tokens, JSON web tokens.
_SECRETS = re.compile(
    r"\$(?:argon2\w*|2[aby]|[156y]|scrypt|pbkdf2[\w-]*)\$[^\s'\"]+|\b(?:sk|pk|rk|hf|gsk|xai|ghp|gho|ghs|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}|\bAIza[\w-]{20,}"
    r"|\bAKIA[A-Z0-9]{12,}|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?|(?i:\bbearer\s+)[\w.~+/=-]{8,}"
)
_USER_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@'\"]+@")
_QUERY_IN_ADDRESS = re.compile(r"(?P<place>\b[a-z][a-z0-9+.-]*://[^\s?#'\"]+)[?#][^\s'\"]*", re.IGNORECASE)
_MODEL = re.compile(r"extractive|[A-Za-z][\w-]{1,30}:[A-Za-z0-9][\w./:@-]{0,80}")
# Shorter ones would be found within ordinary words.
_LEAST_SECRET = 8


def is_secret_name(name: str) -> bool:
    """Whether what goes by that name is a secret, whatever it looks like."""
    return _SECRET_NAMES.search(name) is not None


def without_secrets(text: str) -> str:
    """A text without anything that looks like a secret, and without what this process knows to be one: the environment's keys and tokens."""
    for name, value in os.environ.items():
        if len(value) >= _LEAST_SECRET and is_secret_name(name):
            text = text.replace(value, HIDDEN)
    text = _QUERY_IN_ADDRESS.sub(rf"\g<place>?{HIDDEN}", _USER_IN_ADDRESS.sub(f"{HIDDEN}@", text))
    return _SECRETS.sub(HIDDEN, text)


def settings_shown(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings as they may be shown: of those that map names to secrets the names alone."""
    shown = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            shown[name] = ", ".join(sorted(without_secrets(str(key)) for key in value)) or "nobody"
        elif name == "model_base_url" and value:
            shown[name] = _host_of(str(value))
        elif name == "model" and value:
            # "provider:name"; a key that was put there by mistake has another form.
            shown[name] = str(value) if _MODEL.fullmatch(str(value)) and without_secrets(str(value)) == str(value) else HIDDEN
        else:
            shown[name] = HIDDEN if is_secret_name(name) and value else without_secrets(str(value))
    return shown


def _host_of(address: str) -> str:
    """The place that an address names and no more: what stands before, behind or in place of it may be a secret."""
    place = re.search(r"^(?:([a-z][a-z0-9+.-]*):)?//(?:.*@)?([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?(?:[/?#;]|$)", address, re.IGNORECASE)
    return f"{place[1] or 'http'}://{place[2]}{place[3] or ''}" if place else HIDDEN
