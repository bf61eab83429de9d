"""Help that waits for nothing: judged by the rules alone, before any queue, limit, index or model.

Every refusal carries the crisis line, and where the rules see danger in what was refused, the whole block.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from ragbot.chatbot import immediate_help, unavailable_answer
from ragbot.guardrails import Policy, Responses
from ragbot.records import Answer
from ragbot.web.rendering import crisis_block, short_help

# Of a message that is far too long, this much is still looked at for danger: its beginning and, in a long letter, where the one line
# that matters often stands, its end. Rules take about 5 milliseconds a thousand characters.
LOOKED_AT_FIRST, LOOKED_AT_LAST = 6000, 2000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a question is not taken, in calm words, with the help that stands beside it."""

    status: int
    words: str
    help_text: str
    help_html: str

    def to_dict(self) -> dict[str, str]:
        """The JSON that the page's script shows: ``detail`` for any reader, ``help`` as HTML."""
        return {"detail": f"{self.words}\n\n{self.help_text}", "words": self.words, "help": self.help_html}


class FirstHelp:
    """The help that a policy and a region give at the door."""

    def __init__(self, policy: Policy, responses: Responses) -> None:
        self._policy = policy
        self._responses = responses
        self._line_html = f'<p class="rb-crisis-line"><strong>In crisis?</strong> {self.short_line}</p>'

    @property
    def short_line(self) -> str:
        """The crisis line in one line of HTML."""
        return short_help(self._responses.region, self._responses.elsewhere.lines[0])

    def judge(self, question: str) -> Answer | None:
        """The block that the rules call for, or None where they see no danger."""
        looked_at = question
        if len(question) > LOOKED_AT_FIRST + LOOKED_AT_LAST:
            looked_at = f"{question[:LOOKED_AT_FIRST]}\n{question[-LOOKED_AT_LAST:]}"
        return immediate_help(looked_at, self._policy, self._responses)

    def unavailable(self, question: str) -> Answer:
        """What is shown where answering failed."""
        return unavailable_answer(question, self._responses)

    def block_html(self, answer: Answer) -> str:
        """The block of ``judge`` as HTML."""
        return crisis_block(answer, self._responses.region, self._responses.elsewhere.lines[0])

    def refuse(self, status: int, name: str, danger: Answer | None = None, **values: str) -> Refusal:
        """A refusal in the policy's words.

        Args:
            name: which text of the policy.
            danger: what ``judge`` said of what is refused.
        """
        words = self._responses.text(name, **values)
        if danger is not None:
            return Refusal(status, words, danger.notice or self._responses.resources(), self.block_html(danger))
        return Refusal(status, words, self._responses.resources_short(), self._line_html)

    def refusal_html(self, refusal: Refusal) -> str:
        """A refusal as an answer of the conversation: calm words and one line of help."""
        words = "".join(f"<p>{escape(line)}</p>" for line in refusal.words.split("\n") if line.strip())
        return f'<div class="rb-answer"><div class="rb-notice" role="note">{words}{refusal.help_html}</div></div>'
