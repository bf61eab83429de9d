"""Web pages → Extract. What a reader of the page could not see is taken out first, and a warning names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import lxml.html
import trafilatura
from lxml import etree
from markdownify import markdownify

from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract, hidden_words_warning

MOST_HIDDEN_WARNINGS = 5
LEAST_SENTENCE_WORDS = 8
LEAST_VISIBLE_SHARE = 0.3
# These hide words from everybody, and the last also from people with screen readers, whom hidden words would reach.
_HIDING = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0(?:\.0+)?(?:;|$|!)|font-size:[01](?:\.\d+)?(?:px|pt|em|rem|%)?(?:;|$|!)|"
    r"text-indent:-\d{3,}|(?:left|right|top|bottom|margin-left|margin-top):-\d{3,}|clip:rect\(0|clip-path:inset\((?:50|100)%|"
    r"(?:^|;)color:(?:transparent|rgba\([^)]*,0(?:\.0+)?\))|(?:max-)?(?:height|width):0(?:px)?;.*overflow:hidden"
)
_WHITE = re.compile(r"(?:^|;)color:(?:#fff(?:fff)?|white|rgb\(255,255,255\))(?:;|$|!)")
_BACKGROUND = re.compile(r"background(?:-color|-image)?:")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SIMPLE_SELECTOR = re.compile(r"(?P<tag>[a-z][a-z0-9]*)?(?P<mark>[.#])?(?P<name>[\w-]+)?", re.IGNORECASE)
_SPACES = re.compile(r"[\t ]{100,}")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)


def read_html(data: bytes, name: str, *, url: str = "", whole: bool = False) -> Extract:
    """The article of a page as Markdown, and what the page says of itself.

    Args:
        url: where it was fetched from; the page's own canonical address goes before it.
        whole: the whole body, as a chapter of a book has no frame around it.

    Raises:
        SourceError: there is no text in it.
    """
    tree = _parse(data, name)
    shown_by_scripts = "" if whole else _article(_parse(data, name))
    hidden = [" ".join(words.split()) for words in _remove_hidden(tree)]
    text = "" if whole else _article(tree)
    warnings = _hidden_warnings(hidden, shown_by_scripts)
    if shown_by_scripts and len(text) < LEAST_VISIBLE_SHARE * len(shown_by_scripts):
        # Many a page hides its article until a script has run; then nothing can tell what else is hidden.
        tree, text = _parse(data, name), shown_by_scripts
        warnings = ("The page hides its article until scripts run, so hidden passages could not be told apart: compare it with the page in a browser.",)
    if not whole and len(text) < 200:
        # A short page is often not seen as an article; then everything that could be read is better than nothing.
        everything = _body(tree)
        if not text or len(everything) < 2000:
            text = everything
            warnings += ("No article was told apart from its frame; look for menus and footers in the text.",)
    text = text or _body(tree)
    if not any(letter.isalnum() for letter in text):
        raise SourceError("No text was found on the page.", "It may be built by scripts: open it in a browser, save it as PDF, and upload that.", path=name)
    return _with_metadata(Extract(text, warnings=warnings), lxml.html.tostring(tree, encoding="unicode"), tree, url)


def _article(tree: Any) -> str:
    html = lxml.html.tostring(tree, encoding="unicode")
    return trafilatura.extract(html, output_format="markdown", include_comments=False, include_images=False, include_links=False) or ""


def _hidden_warnings(hidden: list[str], article: str) -> tuple[str, ...]:
    """Warnings of hidden words that would have stood in the article, and of hidden sentences anywhere; menus and labels are no news."""
    flat = " ".join(article.split())
    telling = [words for words in hidden if (words and words in flat) or (len(words.split()) >= LEAST_SENTENCE_WORDS and words.endswith((".", "!", "?")))]
    warnings = tuple(hidden_words_warning(words) for words in dict.fromkeys(telling))
    if len(warnings) <= MOST_HIDDEN_WARNINGS:
        return warnings
    return (*warnings[:MOST_HIDDEN_WARNINGS], f"Hidden text was left out in {len(warnings) - MOST_HIDDEN_WARNINGS} more places.")


def _parse(data: bytes, name: str) -> Any:
    declared = _CHARSET.search(data[:2048])
    encoding = declared.group(1).decode("ascii") if declared else "utf-8"
    text = None
    for one in (*(["utf-16"] if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ["utf-8-sig"]), encoding, "windows-1252"):
        try:
            text = data.decode(one)
            break
        except (UnicodeDecodeError, LookupError):
            continue
    text = data.decode("utf-8", "replace") if text is None else text
    # lxml refuses text that names its own encoding, and NUL ends a page for it.
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text).replace("\0", "")
    try:
        tree = lxml.html.document_fromstring(text, parser=lxml.html.HTMLParser(remove_pis=True, huge_tree=False))
    except (etree.ParserError, etree.LxmlError, ValueError, AssertionError) as error:
        raise SourceError("The page cannot be read.", "Save it anew, or paste its text.", path=name) from error
    return tree


def _remove_hidden(tree: Any) -> Iterator[str]:
    """Takes out comments, scripts and what is styled so that nobody sees it; the words of what was hidden."""
    for comment in list(tree.iter(etree.Comment)):
        words = comment.text or ""
        _drop(comment)
        # Comments of authors and machines are everywhere; only sentences could be meant to be read by a bot.
        if len(words.split()) >= 4 and not words.lstrip().startswith("[if") and "<" not in words:
            yield words
    rules = _hiding_rules(tree)
    for element in list(tree.iter("script", "style", "template", "noscript")):
        _drop(element)
    for element in list(tree.iter()):
        if not isinstance(element.tag, str) or element.getparent() is None or element.tag in ("body", "head", "html"):
            continue
        style = re.sub(r"\s+", "", (element.get("style") or "").lower())
        style = ";".join([*(rule for matches, rule in rules if matches(element)), style])
        white = _WHITE.search(style) and not _BACKGROUND.search(style) and not _on_a_background(element)
        unseen = element.get("hidden") is not None or element.get("aria-hidden") == "true" or (element.tag == "input" and element.get("type") == "hidden")
        if unseen or white or _HIDING.search(style):
            words = element.text_content() if hasattr(element, "text_content") else ""
            _drop(element)
            yield words


def _hiding_rules(tree: Any) -> list[tuple[Any, str]]:
    """The page's own style rules that hide, for selectors as plain as ``.name``, ``#name``, ``tag`` or ``tag.name``."""
    found = []
    for sheet in tree.iter("style"):
        text = re.sub(r"/\*.*?(?:\*/|\Z)", "", sheet.text or "", flags=re.DOTALL)
        # Rules for print or small screens do not hide from a reader at a desk.
        text = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", text)
        for selectors, style in _RULE.findall(text):
            plain = re.sub(r"\s+", "", style.lower())
            if not (_HIDING.search(plain) or _WHITE.search(plain)):
                continue
            for selector in selectors.split(","):
                match = _SIMPLE_SELECTOR.fullmatch(selector.strip())
                if match and (match["tag"] or match["name"]):
                    found.append((_matcher(match["tag"], match["mark"], match["name"]), plain))
    return found


def _matcher(tag: str | None, mark: str | None, name: str | None) -> Any:
    def matches(element: Any) -> bool:
        if tag and element.tag != tag.lower():
            return False
        if mark == ".":
            return name in (element.get("class") or "").split()
        return element.get("id") == name if mark == "#" else bool(tag)

    return matches


def _on_a_background(element: Any) -> bool:
    return any(_BACKGROUND.search((parent.get("style") or "").lower()) or parent.get("bgcolor") for parent in element.iterancestors())


def _drop(element: Any) -> None:
    """Takes an element out and leaves the words that follow it."""
    parent = element.getparent()
    if parent is None:
        return
    if element.tail:
        before = element.getprevious()
        # lxml reads these characters from a page, and refuses to write them into one.
        if before is None:
            parent.text = _NO_XML.sub("", (parent.text or "") + element.tail)
        else:
            before.tail = _NO_XML.sub("", (before.tail or "") + element.tail)
    parent.remove(element)


def _body(tree: Any) -> str:
    body = tree.find("body")
    html = lxml.html.tostring(tree if body is None else body, encoding="unicode")
    return to_markdown(html)


def to_markdown(html: str) -> str:
    """HTML as Markdown: headings, lists and tables; no links, no pictures."""
    # markdownify's time grows with the square of a run of spaces, which a page shows as one.
    html = _SPACES.sub(" ", html)
    return str(markdownify(html, heading_style="ATX", bullets="-", strip=["a", "img", "video", "audio", "iframe", "svg", "form", "button"]))


def _with_metadata(extract: Extract, html: str, tree: Any, url: str) -> Extract:
    try:
        found = trafilatura.extract_metadata(html, default_url=url or None)
    except (ValueError, TypeError, AttributeError, KeyError, etree.LxmlError):
        # Broken metadata is no reason to refuse the text.
        found = None
    root = tree.getroottree().getroot()
    title = str((found and found.title) or "".join(tree.xpath("//title[1]//text()"))).strip()
    published = None
    if found and found.date:
        try:
            published = date.fromisoformat(str(found.date)[:10])
        except ValueError:
            published = None
    authors = tuple(author.strip() for author in str((found and found.author) or "").split(";") if author.strip())
    rights = tree.xpath("//link[@rel='license']/@href | //a[@rel='license']/@href | //meta[@name='dcterms.rights' or @name='DC.rights']/@content")
    return replace(
        extract,
        title=" ".join(title.split()),
        authors=authors,
        published=published,
        publisher=str((found and found.sitename) or "").strip(),
        license=str((found and found.license) or (rights[0] if rights else "")).strip(),
        url=str((found and found.url) or url or "").strip(),
        language=str(root.get("lang") or "").strip()[:12],
    )
