"""What a browser may send to Gradio: the page's own events and nothing else, in every place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ragbot.web.page_events import Function, MalformedEventError, read_event

FUNCTIONS = {
    0: Function(("kept",), frozenset({3}), has_thumb=True),
    1: Function(("kept",), frozenset({3})),
    2: Function(("text", "kept"), frozenset({10, 11})),
}
ASKING = {"data": ["How deep is a pot?", None], "fn_index": 2, "trigger_id": 10, "session_hash": "abc123"}
THUMB = {"data": [None], "fn_index": 0, "trigger_id": 3, "session_hash": "abc123", "event_data": {"index": 1, "liked": True, "value": ["words"]}}
FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
# Every kind of thing that Gradio would open, fetch or build.
FOREIGN: tuple[Any, ...] = (
    FILE,
    {"path": "/dev/zero", "meta": {"_type": "gradio.FileData"}},
    {"url": "http://127.0.0.1:1/x", "path": "http://127.0.0.1:1/x", "meta": {"_type": "gradio.FileData"}},
    {"type": "file", "file": FILE},
    {"role": "user", "content": {"type": "file", "file": FILE}},
    [{"role": "user", "content": [{"type": "file", "file": FILE}]}],
    [{"role": "user", "content": {"component": "image", "value": "/etc/passwd", "constructor_args": {"value": "/etc/passwd"}, "props": {}}}],
    {"__type__": "update", "value": FILE},
    [], {}, 1, 1.5, True, [[None]], ["text"], {"text": "words", "files": ["/etc/passwd"]},
)  # fmt: skip


def body(values: Any) -> bytes:
    return json.dumps(values).encode()


def test_what_the_page_sends_is_taken() -> None:
    event = read_event(body(ASKING), FUNCTIONS)
    assert (event.question, event.session, event.function, event.trigger) == ("How deep is a pot?", "abc123", 2, 10)
    assert json.loads(event.to_body()) == ASKING | {"event_data": None}
    thumb = read_event(body(THUMB), FUNCTIONS)
    assert (thumb.question, thumb.thumb) == (None, (1, True))


def test_nothing_that_gradio_does_not_need_is_passed_on() -> None:
    event = json.loads(read_event(body(THUMB | {"event_data": {"index": [1, 0], "liked": "Dislike", "value": FILE, "path": "/etc/passwd"}}), FUNCTIONS).to_body())
    assert event["event_data"] == {"index": 1, "value": "", "liked": False}
    assert b"passwd" not in read_event(body(ASKING | {"event_data": FILE}), FUNCTIONS).to_body()


@pytest.mark.parametrize("foreign", FOREIGN, ids=repr)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_file_no_address_and_no_component_stands_in_any_place(foreign: Any, function: int) -> None:
    good = {0: THUMB, 1: {"data": [None], "fn_index": 1, "trigger_id": 3, "session_hash": "abc123"}, 2: ASKING}[function]
    forged = [good | {"data": [*good["data"][:place], foreign, *good["data"][place + 1 :]]} for place in range(len(good["data"]))]
    forged += [good | {key: foreign} for key in ("data", "session_hash")]
    forged += [good | {key: foreign} for key in ("fn_index", "trigger_id") if type(foreign) is not int]
    forged += [good | {"data": [*good["data"], foreign]}, good | {"extra": foreign}, good | {"oauth_token": foreign}]
    forged += [good | {"event_data": foreign}] if function == 0 else []
    for values in forged:
        with pytest.raises(MalformedEventError):
            read_event(body(values), FUNCTIONS)


@pytest.mark.parametrize("values", [ASKING | {"data": [None, None]}, ASKING | {"data": ["a", "b"]}, ASKING | {"data": ["a"]}, ASKING | {"data": []}], ids=repr)
def test_each_place_holds_what_it_should(values: dict[str, Any]) -> None:
    with pytest.raises(MalformedEventError):
        read_event(body(values), FUNCTIONS)


@pytest.mark.parametrize("number", [9999, -1, 3, 2.0, True, "2", None, 10**30])
def test_an_unknown_function_is_refused(number: Any) -> None:
    with pytest.raises(MalformedEventError):
        read_event(body(ASKING | {"fn_index": number}), FUNCTIONS)


@pytest.mark.parametrize("session", ["", "a" * 33, "a/b", "../x", "a\n", "ä", None, 5])
def test_a_session_is_a_short_plain_name(session: Any) -> None:
    with pytest.raises(MalformedEventError):
        read_event(body(ASKING | {"session_hash": session}), FUNCTIONS)


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b"[" * 50_000, b'{"data":' * 9_000, b"{}", b"1e999", b"9" * 5000], ids=lambda raw: repr(raw[:10]))
def test_what_is_no_event_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedEventError):
        read_event(raw, FUNCTIONS)


@pytest.mark.parametrize("thumb", [None, {}, {"index": -1, "liked": True}, {"index": "1", "liked": True}, {"index": 10**9, "liked": True}, {"index": [1, 2, 3], "liked": True}, {"index": 1, "liked": "Later"}, {"index": 1, "liked": 1}, {"index": True, "liked": True}], ids=repr)
def test_a_thumb_is_a_place_and_a_yes_or_no(thumb: Any) -> None:
    with pytest.raises(MalformedEventError):
        read_event(body(THUMB | {"event_data": thumb}), FUNCTIONS)


def test_half_a_character_becomes_one_that_can_be_written_down() -> None:
    event = read_event(b'{"data":["a\\ud800b",null],"fn_index":2,"trigger_id":10,"session_hash":"a"}', FUNCTIONS)
    assert event.question == "a?b"


def test_the_error_holds_nothing_of_the_body() -> None:
    with pytest.raises(MalformedEventError) as caught:
        read_event(body(ASKING | {"canary": "Canaryfield"}), FUNCTIONS)
    assert "anary" not in str(caught.value) and caught.value.__context__ is None
