from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ragbot.chunking import CHUNK_CHARACTERS, SENTENCE_CHARACTERS, plain_text, reference_keys, split_document, split_sentences
from ragbot.models import MAX_TOKENS, Embedder
from ragbot.reading import read_sources
from ragbot.records import Chunk, Document, Reference, Source, Span
from ragbot.terms import words_of

ROOT = Path(__file__).parent.parent
KEYS = ("one2019", "two-label", "three")


def document(text: str, keys: Sequence[str] = KEYS) -> Document:
    references = tuple(Reference(key, key) for key in keys)
    return Document(Source("tomatoes", "Tomatoes", "", "", "https://example.org/", references=references), text, "0" * 64)


def sentences(text: str) -> list[str]:
    return [sentence.text for chunk in split_document(document(text)) for sentence in chunk.sentences]


def check_spans(text: str, chunks: Sequence[Chunk]) -> None:
    end = 0
    for chunk in chunks:
        assert text[chunk.span.start : chunk.span.end] == chunk.text
        assert end <= chunk.span.start
        assert (chunk.span.start, chunk.span.end) == (chunk.sentences[0].span.start, chunk.sentences[-1].span.end)
        for sentence in chunk.sentences:
            assert end <= sentence.span.start < sentence.span.end
            assert sentence.span in chunk.span
            assert sentence.text.strip()
            end = sentence.span.end


def heading_spans(text: str) -> list[Span]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [Span(starts[token.map[0]], starts[token.map[1]] - 1) for token in tokens if token.type == "heading_open" and token.map]


# Markdown made of the pieces that articles are made of, and letters strewn in between that mean something to Markdown.
WORDS = st.lists(st.sampled_from("tomato water 0.5 mg/kg e.g. U.S. et al. 35% soil Fig. 3 **bold** `code` [three] [link](x) &amp;".split()), min_size=1)
LINE = st.builds(lambda words, end: " ".join(words) + end, WORDS, st.sampled_from([".", "?", "!", ":", "", ". [one2019]", '."', " [two-label]."]))
PARAGRAPH = st.lists(LINE, min_size=1, max_size=5).map(" ".join)
BLOCK = st.one_of(
    PARAGRAPH,
    st.builds("{} {}".format, st.sampled_from(["#", "##", "###"]), st.sampled_from(["Water", "Soil", "", "When? [three]"])),
    st.builds("{}\n{}".format, LINE, st.sampled_from(["===", "---"])),
    st.lists(st.builds("{}{}".format, st.sampled_from(["- ", "  - ", "1. ", "* [three] ", "-\t"]), LINE), min_size=1, max_size=4).map("\n".join),
    st.lists(st.builds("{}{}".format, st.sampled_from(["> ", "> > ", "> - ", ""]), LINE), min_size=1, max_size=3).map("\n".join),
    st.builds("| {} | {} |\n|---|---|\n| {} | |".format, LINE, LINE, LINE),
    st.builds("{0}\n{1}\n{0}".format, st.sampled_from(["```", "~~~"]), PARAGRAPH),
    PARAGRAPH.map("    {}".format),
    st.sampled_from(["<div>", "</div>", "<!-- a comment. -->", "***", "[three]: https://example.org/", "  ", "a  \nb\\\nc"]),
)
STREWN = st.text(alphabet=st.sampled_from(list("#>-*_`[]()<>!|&;:.~=\t \n\n0123ab’é🍅\u2028\x0c\x85")), max_size=60)
MARKDOWN = st.one_of(
    st.lists(st.one_of(BLOCK, STREWN), max_size=8).map("\n\n".join),
    st.lists(st.one_of(BLOCK, STREWN), max_size=8).map("\n".join),
    st.text().map(lambda text: text.replace("\r", "\n").replace("\0", "")),  # as the readers hand it on
)


@settings(max_examples=300)
@given(MARKDOWN)
def test_every_span_cuts_out_exactly_what_was_read(text: str) -> None:
    check_spans(text, split_document(document(text)))


@settings(max_examples=300)
@given(MARKDOWN)
def test_no_chunk_reaches_across_a_heading(text: str) -> None:
    headings = heading_spans(text)
    for chunk in split_document(document(text)):
        assert not [heading for heading in headings if heading.overlaps(chunk.span)]


@given(MARKDOWN)
def test_the_same_document_gives_the_same_chunks(text: str) -> None:
    chunks = split_document(document(text))
    assert chunks == split_document(document(text))
    assert [chunk.id for chunk in chunks] == [f"tomatoes#{number}" for number in range(len(chunks))]


@given(st.lists(st.lists(st.sampled_from("tomato water soil plant leaf sun".split()), min_size=1, max_size=200), min_size=1, max_size=6))
def test_no_word_is_lost_and_none_is_added(paragraphs: list[list[str]]) -> None:
    text = "\n\n".join(f"{' '.join(words).capitalize()}." for words in paragraphs)
    read = [word for chunk in split_document(document(text)) for word in words_of(chunk.plain)]
    assert read == [word for words in paragraphs for word in words]


HIDDEN = st.builds(
    str.format,
    st.sampled_from(
        [
            "<!-- {} -->",
            "<!--\n{}\n-->",
            "<!--\n\n{}\n\n-->",
            "Seen <!-- {} --> here.",
            "<div hidden>{}</div>",
            '<div style="display:none">\n{}\n</div>',
            '<div style="display:none">\n\n{}\n\n</div>',
            'Seen <span style="display:none">{}</span> here.',
            '<a title="{}">Seen</a> here.',
            "<script>{}</script>",
            "<style>\n{}\n</style>",
            "<?php {} ?>",
            "Seen <b hidden>\n\n{}\n\n</b> here.",
            "![seen <b hidden>{}</b>](tomato.png) here.",
            "| seen |\n|---|\n| <b hidden>{}</b> |",
            "- seen <!-- {} -->\n- seen",
            "> seen\n> <!-- {} -->",
        ]
    ),
    st.sampled_from(["Hidden.", "Hidden words", "First one. Hidden words. Last one.", "hidden: hidden; hidden"]),
)
SEEN = st.sampled_from(["Tomatoes are red.", "They need:\n\n- water", "- light", "## Soil", "Soil is brown. It holds water."])


@settings(max_examples=300)
@given(st.lists(st.one_of(SEEN, HIDDEN), max_size=6), st.sampled_from(["\n\n", "\n"]))
def test_raw_html_and_comments_are_never_quoted(blocks: list[str], between: str) -> None:
    text = between.join(blocks)
    for chunk in split_document(document(text)):
        assert "hidden" not in chunk.embedded.casefold()
        assert "hidden" not in chunk.text.casefold()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One.\n\n<div hidden>\n\nHidden.\n\n</div>\n\nTwo.", ["One.", "Two."]),
        ("One.\n\n<!-- Hidden. -->\n\nTwo.", ["One.", "Two."]),
        ("One. Two <!-- hidden. Hidden --> is odd. Three.", ["One.", "Three."]),
        ("One. Two<br>is odd. Three.", ["One.", "Three."]),
        ("One is `<b>bold</b>`. Two.", ["One is <b>bold</b>.", "Two."]),
        ("One is &lt;b&gt;. Two.", ["One is <b>.", "Two."]),
        ("1 < 2 and 3 > 2. Two.", ["1 < 2 and 3 > 2.", "Two."]),
    ],
)
def test_what_stands_beside_raw_html_is_still_read(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Give 0.5 mg/kg of it. Then wait.", ["Give 0.5 mg/kg of it.", "Then wait."]),
        ("Feed them, e.g. once a week. Then wait.", ["Feed them, e.g. once a week.", "Then wait."]),
        ("Pots, i.e. small ones, dry out. Then wait.", ["Pots, i.e. small ones, dry out.", "Then wait."]),
        ("Moss et al. counted leaves. Then they waited.", ["Moss et al. counted leaves.", "Then they waited."]),
        ("It is sold in the U.S. and elsewhere. It is cheap.", ["It is sold in the U.S. and elsewhere.", "It is cheap."]),
        ("The U.S. Department of Soil agreed.", ["The U.S. Department of Soil agreed."]),
        ("Dr. Bloom and Prof. Moss agreed. Nobody else did.", ["Dr. Bloom and Prof. Moss agreed.", "Nobody else did."]),
        ("See Fig. 3 for it. See p. 14 too.", ["See Fig. 3 for it.", "See p. 14 too."]),
        ("Does it help? It does!", ["Does it help?", "It does!"]),
        ("It rose from 6% to 22%. That was in 2019.", ["It rose from 6% to 22%.", "That was in 2019."]),
    ],
)
def test_abbreviations_and_numbers_end_no_sentence(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**Bold** and *slanted*, `code` and [a link](https://example.org/).", ["Bold and slanted, code and a link."]),
        ("Salt &amp; pepper, and 5 \\* 3.", ["Salt & pepper, and 5 * 3."]),
        ("Two\nlines.", ["Two lines."]),
        ("![A red tomato](tomato.png) is red.", ["A red tomato is red."]),
        ("- One item. It has two sentences.\n- Another item.", ["One item.", "It has two sentences.", "Another item."]),
        ("> Top notice.\n\nSeen.\n\n> A later quotation.", ["Seen.", "A later quotation."]),
        ("```\nx = 1\ny = 2\n```", ["x = 1 y = 2"]),
        ("<!-- a comment -->", []),
        ("# Only a heading", []),
        ("", []),
    ],
)
def test_markup_is_taken_off_and_words_stay(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_list_is_read_with_the_line_that_leads_to_it() -> None:
    text = "It needs:\n\n- light\n- water [one2019]\n- time\n\nThen wait."
    chunk = split_document(document(text))[0]
    assert [sentence.text for sentence in chunk.sentences] == ["It needs: light; water; time", "Then wait."]
    assert chunk.sentences[0].span.of(text) == "It needs:\n\n- light\n- water [one2019]\n- time"
    assert chunk.sentences[0].references == ("one2019",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is red.\n\n- light\n- water", ["It is red.", "light", "water"]),
        ("It needs:\n\n- Light is needed.\n- Water too.", ["It needs:", "Light is needed.", "Water too."]),
        ("It needs:\n\n## Soil\n\n- light", ["It needs:", "light"]),
    ],
)
def test_whole_sentences_in_a_list_stand_by_themselves(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_table_row_is_one_sentence() -> None:
    text = "| Place | Litres. A day |\n|:--|--:|\n| bed | 2.5 |\n| **pot** | |\n"
    chunk = split_document(document(text))[0]
    assert [sentence.text for sentence in chunk.sentences] == ["Place | Litres. A day", "bed | 2.5", "pot"]
    assert chunk.sentences[1].span.of(text) == "| bed | 2.5 |"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. [one2019] Two.", [("One.", ("one2019",)), ("Two.", ())]),
        ("One. [one2019] [three] Two. [three]", [("One.", ("one2019", "three")), ("Two.", ("three",))]),
        ("One [one2019]. Two.", [("One .", ("one2019",)), ("Two.", ())]),
        ("One. [one2019] [one2019]", [("One.", ("one2019",))]),
        ("One. [nobody] Two.", [("One.", ()), ("[nobody] Two.", ())]),
        ("One [three](https://example.org/). Two.", [("One three.", ()), ("Two.", ())]),
        ("| a | b [three] |\n|---|---|\n| 1 | 2 [one2019] |", [("a | b", ("three",)), ("1 | 2", ("one2019",))]),
    ],
)
def test_reference_keys_belong_to_the_sentence_before_them(text: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    found = [(sentence.text, sentence.references) for chunk in split_document(document(text)) for sentence in chunk.sentences]
    assert [(words.replace(" .", "."), keys) for words, keys in found] == [(words.replace(" .", "."), keys) for words, keys in expected]


def test_keys_that_look_like_references_are_found_though_nobody_knows_them() -> None:
    text = "Known [three]. Unknown [nobody2020], a [link2020](x), [see] and [sic].\n\n| a [table-key] |\n|---|\n"
    assert reference_keys(document(text)) == {"three", "nobody2020", "table-key"}


def test_the_heading_is_the_way_to_it() -> None:
    text = "Before.\n\n# Care\n\nOne.\n\n## *Water*\n\nTwo.\n\n### When?\n\nThree.\n\n## Soil\n\nFour.\n\n# End\n\nFive.\n"
    found = [(chunk.heading, chunk.plain) for chunk in split_document(document(text))]
    assert found == [
        ("", "Before."),
        ("Care", "One."),
        ("Care › Water", "Two."),
        ("Care › Water › When?", "Three."),
        ("Care › Soil", "Four."),
        ("End", "Five."),
    ]


def test_two_headings_of_one_name_are_two_headings() -> None:
    assert [chunk.plain for chunk in split_document(document("## Notes\n\nOne.\n\n## Notes\n\nTwo."))] == ["One.", "Two."]


def test_a_long_section_is_cut_between_sentences() -> None:
    text = " ".join(f"Plant number {number} was given water in the morning." for number in range(100))
    chunks = split_document(document(text))
    assert len(chunks) > 5
    assert all(len(chunk.text) <= CHUNK_CHARACTERS for chunk in chunks)
    assert all(chunk.text.startswith("Plant number") and chunk.text.endswith("morning.") for chunk in chunks)


@pytest.mark.parametrize("word", ["tomato ", "tomato"], ids=["words", "one word"])
def test_a_sentence_without_end_is_cut_so_that_it_can_be_embedded(word: str) -> None:
    text = (word * 1000).strip()
    chunks = split_document(document(text))
    check_spans(text, chunks)
    assert max(len(sentence.text) for chunk in chunks for sentence in chunk.sentences) <= SENTENCE_CHARACTERS
    assert "".join(chunk.plain for chunk in chunks).replace(" ", "") == text.replace(" ", "")


def test_every_article_of_the_project_fits_into_the_embedding_model(embedder: Embedder, library: Path) -> None:
    tokenizer = embedder.load().tokenizer
    too_long = []
    for folder in (library, ROOT / "sources"):
        for one in read_sources(folder)[0]:
            chunks = split_document(one)
            check_spans(one.text, chunks)
            too_long += [chunk.id for chunk in chunks if len(tokenizer(chunk.embedded, verbose=False)["input_ids"]) > MAX_TOKENS]
    assert not too_long


@pytest.mark.parametrize(
    ("markdown", "words"),
    [("*a* **b** `c`", "a b c"), ("[a](b) ![c](d)", "a c"), ("a <b>c</b>", "a c"), ("a\\\nb  \nc", "a b c"), ("&lt;b&gt;", "<b>"), ("", "")],
)
def test_plain_text_is_the_words_of_a_line(markdown: str, words: str) -> None:
    assert plain_text(markdown) == words
