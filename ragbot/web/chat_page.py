"""The chat as Gradio components. Besides app, the only file that knows gradio.

No component that a browser could fill with files or addresses is an input: a question is plain text, and the conversation is kept here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import gradio as gr

from ragbot.web.chat import Chat, Conversation
from ragbot.web.page_events import Function

# Between two questions; then the page still shows what was said, and the conversation begins anew.
SECONDS_KEPT = 4 * 3600
# Gradio keeps this many conversations and forgets the one that was not used for longest.
MAX_CONVERSATIONS = 5000
# Waiting is done in ragbot.web.chat, where help goes past it, so Gradio's own queue lets everything through.
MAX_EVENTS = 1000


def build_chat(chat: Chat, suggestions: tuple[str, ...], question_limit: int) -> gr.Blocks:
    """The Gradio blocks of the chat."""
    blocks: gr.Blocks = gr.Blocks(title="ragbot", analytics_enabled=False, delete_cache=(600, 3600))
    blocks.state_session_capacity = MAX_CONVERSATIONS
    blocks.max_threads = MAX_EVENTS
    with blocks:
        kept = gr.State(Conversation(), time_to_live=SECONDS_KEPT)
        conversation = gr.Chatbot(
            elem_id="conversation",
            label="Conversation",
            show_label=False,
            container=False,
            sanitize_html=True,
            allow_tags=False,
            latex_delimiters=[],
            buttons=[],
            height=None,
            min_height="12rem",
            max_height="none",
            layout="bubble",
            autoscroll=True,
            placeholder="Ask a question below, or begin with one of the suggestions.",
        )
        with gr.Row(elem_id="suggestions"):
            buttons = [gr.Button(text, size="sm", variant="secondary", elem_classes="rb-suggestion") for text in suggestions]
        with gr.Row(elem_id="asking", equal_height=True):
            question = gr.Textbox(
                elem_id="question",
                label="Your question",
                placeholder="For example: How long does one ketamine infusion help?",
                lines=1,
                max_lines=6,
                max_length=question_limit,
                scale=5,
                autofocus=False,
            )
            send = gr.Button("Ask", variant="primary", scale=1, min_width=96, elem_id="ask")
        gr.HTML(f'<p class="rb-privacy">{chat.privacy_notice}</p>')

        def thumb(said: Conversation, event: gr.LikeData) -> Conversation:
            place = event.index if isinstance(event.index, int) else event.index[0]
            chat.mark(said, place, event.liked is True)
            return said

        def clear(said: Conversation) -> Conversation:
            said.clear()
            return said

        async def suggested(asked: str, said: Conversation, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
            async for now in chat.respond(asked, said, request.session_hash or ""):
                offered = now.offered or suggestions
                updates = [gr.update(value=offered[place], visible=True) if place < len(offered) else gr.update(visible=False) for place in range(len(buttons))]
                yield (now.messages, now, *updates)

        async def typed(asked: str, said: Conversation, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
            # The box is emptied once: what is typed while an answer is still growing has to stay.
            box: Any = ""
            async for shown in suggested(asked, said, request):
                yield (box, *shown)
                box = gr.skip()

        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        conversation.like(thumb, [kept], [kept], **quiet)
        conversation.clear(clear, [kept], [kept], **quiet)
        shown_in = [conversation, kept, *buttons]
        asking: dict[str, Any] = {"concurrency_limit": None, **quiet}
        gr.on([question.submit, send.click], typed, [question, kept], [question, *shown_in], **asking)
        for button in buttons:
            # What stands in the box was not asked, and stays.
            button.click(suggested, [button, kept], shown_in, **asking)
    return blocks


def functions_of(blocks: gr.Blocks) -> Mapping[int, Function]:
    """What the page may call, by Gradio's number of it, for ``ragbot.web.page_events``."""
    return {
        number: Function(
            places=tuple("kept" if isinstance(component, gr.State) else "text" for component in function.inputs),
            triggers=frozenset(component for component, _ in function.targets if component is not None),
            has_thumb=any(event == "like" for _, event in function.targets),
        )
        for number, function in blocks.fns.items()
    }


def has_session(blocks: gr.Blocks, session: str) -> bool:
    """Whether a page of this name has sent an event, so that there is something to listen to."""
    return session in blocks._queue.pending_messages_per_session  # noqa: SLF001 — Gradio has no public way to ask


def has_conversation(blocks: gr.Blocks, session: str) -> bool:
    """Whether this server keeps a conversation of a page of this name."""
    return session in blocks.state_holder
