"""Many visitors at once on a running server of this machine: how long help, answers and the state of the server take.

Usage: python tests/load.py http://127.0.0.1:7860 [visitors] [questions each]
Each visitor asks without a pause, one question in three is somebody in danger. Prints medians and 95th percentiles in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
DANGER = ("i want to kill myself", "i am going to end my life tonight", "he took all the pills and won't wake up", "i want to die")
QUESTIONS = (
    "What is ketamine?", "How long does one ketamine infusion help?", "What side effects are common?", "Is ketamine legal in the US?",
    "How is esketamine given?", "Does insurance pay for Spravato?", "What happens during a session?", "Can ketamine harm the bladder?",
)  # fmt: skip


@dataclass
class Figures:
    """Seconds by what was waited for, and how many replies of each kind there were."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    replies: Counter[str] = field(default_factory=Counter)

    def note(self, what: str, started: float) -> None:
        self.seconds.setdefault(what, []).append(time.perf_counter() - started)

    def percentile(self, what: str, share: float) -> float:
        """Seconds below which so large a share lies."""
        ordered = sorted(self.seconds[what])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def ask(client: httpx.AsyncClient, question: str, session: str, figures: Figures) -> None:
    """One question as the page asks it, to its last message."""
    danger = question in DANGER
    started = time.perf_counter()
    joined = await client.post(JOIN, json={"data": [question, None], "fn_index": 2, "trigger_id": None, "session_hash": session})
    figures.replies[f"{joined.status_code}{' danger' if danger else ''}{' with help' if '988' in joined.text or '911' in joined.text else ''}"] += 1
    if danger:
        figures.note("help in the reply", started)
    if joined.status_code != 200:
        return
    async with client.stream("GET", DATA, params={"session_hash": session}) as stream:
        async for line in stream.aiter_lines():
            if "rb-crisis" in line and danger:
                figures.note("help in the conversation", started)
                danger = False
            if "process_completed" in line:
                figures.note("the whole answer", started)
            if "close_stream" in line:
                return


def visitor(address: str) -> httpx.AsyncClient:
    """A visitor's connections. Without TLS, whose certificates take 20 milliseconds to read for each."""
    return httpx.AsyncClient(base_url=address, timeout=120, verify=False)


async def visit(client: httpx.AsyncClient, number: int, count: int, figures: Figures) -> None:
    """One visitor, who asks so many questions, each in a conversation that goes on."""
    async with client:
        session = uuid.uuid4().hex[:12]
        for turn in range(count):
            place = number + turn
            question = DANGER[place % len(DANGER)] if place % 3 == 0 else QUESTIONS[place % len(QUESTIONS)]
            await ask(client, question, session, figures)


async def watch(address: str, figures: Figures, done: asyncio.Event) -> None:
    """Asks for the state of the server all the while."""
    async with visitor(address) as client:
        while not done.is_set():
            started = time.perf_counter()
            await client.get("/healthz")
            figures.note("state of the server", started)
            await asyncio.sleep(0.05)


async def load(address: str, visitors: int, count: int) -> Figures:
    """Everybody at once."""
    figures, done = Figures(), asyncio.Event()
    clients = [visitor(address) for _ in range(visitors)]
    watching = asyncio.create_task(watch(address, figures, done))
    await asyncio.gather(*(visit(client, number, count, figures) for number, client in enumerate(clients)))
    done.set()
    await watching
    return figures


if __name__ == "__main__":
    address, visitors, count = sys.argv[1], int((*sys.argv, "60")[2]), int((*sys.argv, "60", "4")[3]) if len(sys.argv) > 3 else 4
    figures = asyncio.run(load(address, visitors, count))
    rows = {what: [round(1000 * value) for value in (statistics.median(times), figures.percentile(what, 0.95), max(times))] for what, times in figures.seconds.items()}
    print(json.dumps({"visitors": visitors, "ms (p50, p95, max)": rows, "replies": dict(figures.replies)}, indent=1))
