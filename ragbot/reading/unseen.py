"""What a PDF page draws so that nobody sees it: render mode 3, white on white, tiny letters, places outside the page.

Follows the graphics state of ISO 32000-1, chapter 8 and 9, as far as it decides on visibility. Words on a filled area or a picture count
as seen whatever their colour, because what lies beneath them is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

Matrix = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]
_PLAIN: Matrix = (1, 0, 0, 1, 0, 0)
_SHOWING = (b"Tj", b"TJ", b"'", b'"')
LEAST_POINTS = 2.0
NEARLY_WHITE = 0.95
# A picture this much of the page is taken for a scan.
SCAN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Parted:
    """A page's operations without what is unseen, those that draw only the unseen (none where there is nothing), and whether
    unseen words lie over a scan, as character recognition puts them."""

    seen: list[Any]
    hidden: list[Any]
    over_a_scan: bool


@dataclass(frozen=True, slots=True)
class _State:
    user: Matrix = _PLAIN
    white: bool = False
    mode: int = 0
    size: float = 12.0


@dataclass(slots=True)
class _Page:
    box: Box
    state: _State = field(default_factory=_State)
    stack: list[_State] = field(default_factory=list)
    line: Matrix = _PLAIN
    leading: float = 0.0
    path: list[Box] = field(default_factory=list)
    covered: list[Box] = field(default_factory=list)
    scanned: bool = False


def part_unseen(operations: Iterable[tuple[Any, bytes]], page: Any, box: Box) -> Parted:
    """A page's operations, parted into what is seen and what is not."""
    now = _Page(box)
    seen: list[Any] = []
    hidden: list[Any] = []
    found = over_a_scan = False
    for operands, operator in operations:
        if operator in _SHOWING:
            if operator in (b"'", b'"'):
                now.line = _times((1, 0, 0, 1, 0, -now.leading), now.line)
            unseen = _is_unseen(now)
            if unseen and now.state.mode == 3 and now.scanned:
                unseen, over_a_scan = False, True
            (hidden if unseen else seen).append((operands, operator))
            found = found or unseen
            continue
        # A malformed operator changes nothing here; the reader of the text has its own way with it.
        with suppress(TypeError, ValueError, IndexError, KeyError, AttributeError):
            _follow(now, operands, operator, page)
        seen.append((operands, operator))
        hidden.append((operands, operator))
    return Parted(seen, hidden if found else [], over_a_scan)


def _is_unseen(now: _Page) -> bool:
    if now.state.mode in (3, 7):
        return True
    matrix = _times(now.line, now.state.user)
    left, height = matrix[4], matrix[5]
    points = abs(now.state.size) * max(abs(matrix[0]), abs(matrix[1]), abs(matrix[2]), abs(matrix[3]))
    if 0 < points < LEAST_POINTS:
        return True
    low_left, low, high_right, high = now.box
    if not (low_left - 5 <= left <= high_right + 5 and low - 5 <= height <= high + 5):
        return True
    return now.state.white and not any(box[0] - 2 <= left <= box[2] + 2 and box[1] - 2 <= height <= box[3] + 2 for box in now.covered)


def _follow(now: _Page, operands: Sequence[Any], operator: bytes, page: Any) -> None:  # noqa: C901, PLR0912 — one operator after the other
    numbers = [float(one) for one in operands if isinstance(one, (int, float))]
    state = now.state
    if operator == b"q":
        now.stack.append(state)
    elif operator == b"Q" and now.stack:
        now.state = now.stack.pop()
    elif operator == b"cm" and len(numbers) == 6:
        now.state = replace(state, user=_times(_matrix(numbers), state.user))
    elif operator == b"BT":
        now.line = _PLAIN
    elif operator == b"Tm" and len(numbers) == 6:
        now.line = _matrix(numbers)
    elif operator in (b"Td", b"TD") and len(numbers) == 2:
        now.line = _times((1, 0, 0, 1, numbers[0], numbers[1]), now.line)
        now.leading = -numbers[1] if operator == b"TD" else now.leading
    elif operator == b"TL" and numbers:
        now.leading = numbers[0]
    elif operator == b"T*":
        now.line = _times((1, 0, 0, 1, 0, -now.leading), now.line)
    elif operator == b"Tf" and numbers:
        now.state = replace(state, size=numbers[-1])
    elif operator == b"Tr" and numbers:
        now.state = replace(state, mode=int(numbers[0]))
    elif operator in (b"g", b"rg", b"k", b"sc", b"scn") and numbers:
        now.state = replace(state, white=_is_white(numbers))
    elif operator == b"cs":
        now.state = replace(state, white=False)
    elif operator == b"re" and len(numbers) == 4:
        now.path.append(_box(numbers[0], numbers[1], numbers[2], numbers[3], state.user))
    elif operator in (b"m", b"l") and len(numbers) == 2:
        now.path.append(_box(numbers[0], numbers[1], 0, 0, state.user))
    elif operator in (b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*") and now.path:
        # A white area hides nothing and makes white words no more visible.
        if not state.white:
            now.covered.append(_around(now.path))
        now.path = []
    elif operator in (b"n", b"S", b"s"):
        now.path = []
    elif operator == b"sh":
        now.covered.append(now.box)
    elif operator == b"Do" and operands and _is_picture(page, operands[0]):
        box = _box(0, 0, 1, 1, state.user)
        now.covered.append(box)
        area = (now.box[2] - now.box[0]) * (now.box[3] - now.box[1])
        now.scanned = now.scanned or (box[2] - box[0]) * (box[3] - box[1]) > SCAN_SHARE * area


def _is_picture(page: Any, name: Any) -> bool:
    found = page["/Resources"]["/XObject"][name].get_object()
    return bool(found.get("/Subtype") == "/Image")


def _is_white(numbers: Sequence[float]) -> bool:
    # Four numbers are ink, where none is white; fewer are light.
    return all(one <= 1 - NEARLY_WHITE for one in numbers) if len(numbers) == 4 else all(one >= NEARLY_WHITE for one in numbers)


def _matrix(numbers: Sequence[float]) -> Matrix:
    one, two, three, four, five, six = numbers
    return one, two, three, four, five, six


def _times(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m


def _box(left: float, low: float, width: float, height: float, user: Matrix) -> Box:
    corners = [_times((1, 0, 0, 1, x, y), user)[4:] for x in (left, left + width) for y in (low, low + height)]
    return min(x for x, _ in corners), min(y for _, y in corners), max(x for x, _ in corners), max(y for _, y in corners)


def _around(boxes: Sequence[Box]) -> Box:
    return min(box[0] for box in boxes), min(box[1] for box in boxes), max(box[2] for box in boxes), max(box[3] for box in boxes)
