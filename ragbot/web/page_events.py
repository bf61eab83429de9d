"""What the chat page itself sends to Gradio, read strictly and written anew.

Gradio takes files, addresses and components in the body of an event, and its queue would fetch, copy or build them. So nothing that a
visitor sends reaches it as it came: the known function, the known number of places, a plain string where the page has text, nothing
where the server keeps the value. All else is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

Place = Literal["text", "kept"]
_SESSION = re.compile(r"[A-Za-z0-9]{1,32}")
_KEYS = frozenset({"data", "event_data", "fn_index", "trigger_id", "session_hash"})
# A thumb is sent as true and false, or by the name of its button.
_THUMBS: Mapping[bool | str, bool] = {True: True, False: False, "Like": True, "Dislike": False}
MAX_PLACE = 10_000


class MalformedEventError(ValueError):
    """A body that the page would not have sent. It holds nothing of that body."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the page: what stands in each place of its data, what triggers it, and whether a thumb comes with it."""

    places: tuple[Place, ...]
    triggers: frozenset[int]
    has_thumb: bool = False


@dataclass(frozen=True, slots=True)
class PageEvent:
    """One event of the page. ``question`` is None where the event asks nothing; ``thumb`` is the place of a message and whether it helped."""

    session: str
    function: int
    trigger: int | None
    places: tuple[str | None, ...]
    thumb: tuple[int, bool] | None = None

    @property
    def question(self) -> str | None:
        return next((place for place in self.places if place is not None), None)

    def to_body(self) -> bytes:
        """The event as JSON for Gradio, made of nothing but what was read."""
        event_data = None if self.thumb is None else {"index": self.thumb[0], "value": "", "liked": self.thumb[1]}
        values = {"data": list(self.places), "event_data": event_data, "fn_index": self.function, "trigger_id": self.trigger, "session_hash": self.session}
        return json.dumps(values).encode("ascii")


def read_event(body: bytes, functions: Mapping[int, Function]) -> PageEvent:
    """The event in a body.

    Args:
        functions: what the page has, by Gradio's number of it.

    Raises:
        MalformedEventError: the page would not have sent it.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedEventError("no JSON") from None
    if not isinstance(values, dict) or not values.keys() <= _KEYS:
        raise MalformedEventError("not an event")
    number, session, trigger = values.get("fn_index"), values.get("session_hash"), values.get("trigger_id")
    if not _is_number(number) or (function := functions.get(number)) is None:
        raise MalformedEventError("unknown function")
    if not isinstance(session, str) or not _SESSION.fullmatch(session):
        raise MalformedEventError("no session")
    if trigger is not None and not (_is_number(trigger) and trigger in function.triggers):
        raise MalformedEventError("unknown trigger")
    thumb = _read_thumb(values.get("event_data")) if function.has_thumb else None
    return PageEvent(session, number, trigger, _read_places(values.get("data"), function.places), thumb)


def _is_number(value: Any) -> TypeGuard[int]:
    # True is an int in Python, and 1.0 equals 1 as a key.
    return type(value) is int


def _read_places(data: Any, places: tuple[Place, ...]) -> tuple[str | None, ...]:
    if not isinstance(data, list) or len(data) != len(places):
        raise MalformedEventError("wrong data")
    return tuple(_read_place(value, place) for value, place in zip(data, places, strict=True))


def _read_place(value: Any, place: Place) -> str | None:
    if place == "kept":
        if value is not None:
            raise MalformedEventError("a value that the server keeps")
        return None
    if not isinstance(value, str):
        raise MalformedEventError("no text")
    # Half a character, which JSON can hold, could not be written down anywhere.
    return value.encode("utf-8", "replace").decode("utf-8")


def _read_thumb(event_data: Any) -> tuple[int, bool]:
    """The place of a message and the thumb; what else the browser tells of it, the message's own words among it, is left behind."""
    place = event_data.get("index") if isinstance(event_data, dict) else None
    if isinstance(place, list) and len(place) in (1, 2):
        place = place[0]
    liked = event_data.get("liked") if isinstance(event_data, dict) else None
    if not _is_number(place) or not 0 <= place < MAX_PLACE or not isinstance(liked, bool | str) or liked not in _THUMBS:
        raise MalformedEventError("no thumb")
    return place, _THUMBS[liked]
