"""What an anonymous attacker tried on the running server, each instance with its kind: SAFETY 29, 30 and 36."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

JOIN = "/gradio_api/queue/join"
CANARY = "Canaryfield"


@pytest.fixture(scope="module")
def client(site: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def functions(client: httpx.Client) -> list[dict[str, Any]]:
    """What the page may call, as its own HTML tells any visitor."""
    page = client.get("/").text
    config = json.JSONDecoder().raw_decode(page, page.index("window.gradio_config = ") + len("window.gradio_config = "))[0]
    return list(config["dependencies"])


class Listener:
    """A place on this machine that nobody has any business with; it counts who connects."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()


def forgeries(path: str) -> list[Any]:
    """A path or address in every shape that Gradio takes for a file or builds a component of."""
    file = {"path": path, "url": path, "orig_name": "x", "mime_type": "image/png", "meta": {"_type": "gradio.FileData"}}
    component = {"type": "component", "component": "image", "value": path, "constructor_args": {"value": path}, "props": {"value": path}}
    contents = [file, {"type": "file", "file": file, "alt_text": None}, component, [{"type": "file", "file": file}], [component], {"path": path}, [path]]
    shapes: list[Any] = [*contents, {"nested": {"deep": [file]}}, {"__type__": "update", "value": file}]
    shapes += [[{"role": "user", "metadata": None, "content": content, "options": None}] for content in contents]
    shapes += [{"text": "What?", "files": [file]}, {"component": "chatbot", "value": [file]}]
    return shapes


@pytest.fixture
def targets(tmp_path: Path) -> dict[str, str]:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    secret = tmp_path / "secret.txt"
    secret.write_text(CANARY)
    return {"device": "/dev/zero", "pipe": str(pipe), "file": str(secret), "settings": "ragbot.toml", "password file": "/etc/passwd"}


def is_awake(client: httpx.Client) -> float:
    started = time.perf_counter()
    assert client.get("/healthz", timeout=5).text == "ready"
    return time.perf_counter() - started


def test_no_path_no_address_and_no_component_gets_past_the_door(client: httpx.Client, functions: list[dict[str, Any]], targets: dict[str, str], site_folder: Path) -> None:
    listener = Listener()
    before = sorted(site_folder.glob("files/**/*"))
    sent = 0
    for path in (*targets.values(), f"{listener.address}/image.png"):
        for function in functions:
            usual: list[Any] = [None] * len(function["inputs"])
            for forged in forgeries(path):
                places = [usual[:place] + [forged] + usual[place + 1 :] for place in range(len(usual))]
                bodies = [{"data": data} for data in (*places, [*usual, forged], forged)]
                bodies += [{"data": usual, "event_data": {"index": forged, "liked": True}}, {"data": usual, "event_data": forged, "extra": forged}]
                for body in bodies:
                    reply = client.post(JOIN, json=body | {"fn_index": function["id"], "trigger_id": function["targets"][0][0], "session_hash": uuid.uuid4().hex})
                    sent += 1
                    assert reply.status_code == 400 or path not in json.dumps(body["data"]), (function["id"], forged)
                    assert path not in reply.text
        assert is_awake(client) < 1
    assert sent > 1000
    listener.socket.close()
    assert listener.connections == 0
    assert sorted(site_folder.glob("files/**/*")) == before
    assert all(CANARY not in file.read_text(errors="replace") for file in site_folder.glob("files/**/*") if file.is_file())


def test_every_refusal_of_a_question_carries_the_crisis_line_and_nothing_of_what_was_sent(client: httpx.Client) -> None:
    asking = {"data": [CANARY, None], "fn_index": 2, "session_hash": "a"}
    for content in (b"", b"{", json.dumps(asking | {"fn_index": 9999}).encode(), json.dumps(asking | {"extra": CANARY}).encode(), CANARY.encode() * 20_000):
        reply = client.post(JOIN, content=content, headers={"content-type": "application/json"})
        assert reply.status_code in (400, 413)
        assert "988" in reply.json()["detail"] and 'href="tel:988"' in reply.json()["help"]
        assert CANARY not in reply.text
    # Even where it is no event at all, somebody in danger is seen.
    assert 'role="alert"' in client.post(JOIN, content=b'{"data": ["i want to kill myself"]}').json()["help"]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/assets/" + "a" * 9000, {}),
        ("GET", "/static/fonts/" + "a" * 9000, {}),
        ("GET", "/assets/%00", {}),
        ("GET", "/assets/..%2f..%2f..%2fetc/passwd", {}),
        ("GET", f"/articles/key-trials?start={CANARY}&end=2", {}),
        ("GET", f"/gradio_api/queue/data?session_hash={CANARY}/../x", {}),
        ("GET", "/gradio_api/queue/data", {}),
        ("GET", "/gradio_api/queue/data?session_hash=nobody", {}),
        ("GET", "/", {"transfer-encoding": "chunked"}),
        ("POST", JOIN, {"transfer-encoding": "chunked", "content-length": "3"}),
        ("GET", JOIN, {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x3JJHMbDL1EzLkh9GBhXDw=="}),
        ("GET", "/nowhere", {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x3JJHMbDL1EzLkh9GBhXDw=="}),
        ("POST", JOIN, {"content-type": "multipart/form-data; boundary=x"}),
        ("POST", JOIN, {"content-encoding": "gzip"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_request_is_the_senders_mistake_and_not_the_servers(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> None:
    reply = client.request(method, path, headers=headers)
    assert 400 <= reply.status_code < 500
    assert CANARY not in reply.text and "Traceback" not in reply.text


def ask(client: httpx.Client, question: str, session: str) -> list[str]:
    """Asks like the page does; the HTML of each state of the conversation."""
    joined = client.post(JOIN, json={"data": [question, None], "fn_index": 2, "trigger_id": None, "session_hash": session})
    assert joined.status_code == 200, joined.text
    events = []
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                events.append(line)
                if '"close_stream"' in line:
                    break
    return events


def test_no_word_of_a_visitor_is_written_anywhere(client: httpx.Client, site_folder: Path) -> None:
    """The canary, in questions that are answered, refused, malformed, too long and half a character."""
    assert any("rb-" in event for event in ask(client, f"What is ketamine? {CANARY}", "canary1"))
    assert any("rb-" in event for event in ask(client, f"{CANARY} \ud800 ".encode("utf-8", "replace").decode() * 200, "canary2"))
    for values in ({"data": [CANARY]}, {"data": [{"path": CANARY}, None]}, [CANARY], {"data": [f"{CANARY}\ud800", None]}):
        for number in (0, 1, 2, 9999, -1, CANARY):
            body = {"data": values, "fn_index": number, "session_hash": CANARY} if isinstance(values, list) else values | {"fn_index": number, "session_hash": "x"}
            client.post(JOIN, content=json.dumps(body))
    client.post(JOIN, content=f'{{"data": ["{CANARY}\\ud800"'.encode())
    client.get(f"/articles/{CANARY.lower()}?start={CANARY}")
    client.get(f"/assets/{CANARY}")
    client.get("/", headers={"x-forwarded-host": CANARY, "cookie": CANARY, "referer": CANARY})
    written = [path for path in site_folder.rglob("*") if path.is_file() and CANARY.casefold().encode() in path.read_bytes().lower()]
    assert written == []


def test_the_conversation_is_the_servers(client: httpx.Client) -> None:
    """What a browser says was said before counts for nothing, and two sessions know nothing of each other."""
    ask(client, "i want to kill myself", "mine")
    mine, other = ask(client, "What is ketamine?", "mine")[-2], ask(client, "What is ketamine?", "other")[-2]
    assert "kill myself" in mine and "kill myself" not in other


def test_a_connection_that_only_waits_is_closed(site: str) -> None:
    """A head that never ends, a body that never comes, one that says it is huge, and a second head on a connection that was fine before."""
    host, port = site.removeprefix("http://").split(":")
    join = f"POST {JOIN} HTTP/1.1\r\nHost: x\r\nContent-Length: "
    beginnings = ["GET / HTT", "", f"{join}100\r\n\r\n{{", f"{join}99999999999999999\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea", "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n."]
    connections = [socket.create_connection((host, int(port)), timeout=40) for _ in beginnings]
    replies = []
    for connection, beginning in zip(connections, beginnings, strict=True):
        connection.sendall(beginning.encode())
    for connection in connections:
        reply = b""
        # An open connection would let this run into its time limit.
        while part := connection.recv(65536):
            reply += part
        replies.append(reply)
        connection.close()
    assert [reply[9:12] for reply in replies] == [b"", b"", b"408", b"413", b"200", b"400"]
    assert b"988" in replies[2] and b"988" in replies[3]
