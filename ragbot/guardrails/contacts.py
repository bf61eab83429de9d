"""Telephone numbers, short codes, e-mail and web addresses in a text: only those that the policy or the article's card names are shown.

``phonenumbers`` was tried and not taken: it finds neither short codes ("text HOME to 741741"), nor "116 123", nor numbers in words, and its
strictness about which numbers exist is of no use where every unknown number is withheld.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from ragbot.guardrails.numbers import in_digits
from ragbot.records import Source

_MOST_DIGITS, _LEAST_DIGITS = 15, 7
_ENDINGS = "|".join(
    """com org net info biz gov edu int mil io co app help health care clinic chat online site shop store xyz link click live support life me tv
    uk ca ie eu us au nz de fr in ru cn example test invalid""".split()
)
_ADDRESS = re.compile(r"(?:\b(?:https?|ftp|javascript|data|tel|sms|mailto):|\bwww\.)[^\s)\]>\"'|]+", re.IGNORECASE)
# A full stop without a space behind it is no address: hence the list of endings, and no capital letter behind the dot.
_BARE = re.compile(rf"(?<![\w@./-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+(?:{_ENDINGS})\b(?!\.\w)(?:/[^\s)\]>\"'|]*)?")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_SPOKEN = re.compile(r"(?<=\w) ?(?:\(dot\)|\[dot\]| dot ) ?(?=\w)", re.IGNORECASE)
_BRACKETED_AT = re.compile(r"[(\[]at[)\]]", re.IGNORECASE)
_SPOKEN_AT = re.compile(r"(?<=\w) ?(?:\(at\)|\[at\]| at ) ?(?=[\w-]+\.(?:com|org|net|info|uk|ca|example)\b)", re.IGNORECASE)
# What holds digits and is no number to call: identifiers, thousands, amounts, days, years, times, percentages.
_NO_NUMBERS = re.compile(
    r"\b10\.\d{4,}/\S+|\b(?:nct|pmc|pmid|isrctn|isbn|doi|eudract|grant|id|no\.)[ :#]*[\d-]{4,}|\b(?=[\w-]*[a-z])(?=[\w-]*\d{4})[a-z][\w-]*"
    r"|\b\d{1,3}(?:,\d{3})+\b|\b(?:1[5-9]|20)\d\d ?[-–/] ?(?:(?:1[5-9]|20)\d\d|\d\d)\b|\b(?:19|20)\d\d-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d\b"
    r"|\b(?:19|20)\d\d(?= \()|\b\d+(?:\.\d+)? ?%|\b\d+\.\d+\b(?![.-]?\d)",
)
_RUN = re.compile(r"(?<![\w.,$£€/])\+?(?:\(\+?\d{1,5}\)[ .-]?)?\d(?:(?:[ .·•\-–—/]{0,3}| ?\(\d{1,5}\) ?)\d)*(?!\w)")
# What is counted is no number to call.
_UNITS = (
    r"(?! ?(?:%|mg|mcg|g|kg|ml|milli|micro|gram|people|patient|adult|participant|person|men|women|child|trial|stud|time|year|month|week|day|hour"
    r"|minute|second|language|service|countr|session|point|percent|dose|infusion|tablet|pill|case|death|call|text|more|of|million)\w*)"
)
_NUMBER = r"(?P<number>\+?\d(?:[ .\-–]{0,3}\d){2,5})(?![ .\-–()]*\d)(?!\w)" + _UNITS
_BY_VERB = re.compile(
    r"\b(?:call|calling|press|pressing|dial|dialling|dialing|ring|ringing|phone|phoning|text|texting|sms|message|whatsapp|fax)"
    r"(?:,? (?:or|and|/) (?:call|calling|text|texting|dial|message|chat))?"
    r"(?: (?:us|them|him|her|the|our|this|that|new|now|on|at|to|free|only|just|instead|number|code|helpline|hotline|lifeline|line|crisis|emergency"
    r"|clinic|\w+ to|\w+ on|\w+ at))*:? " + _NUMBER
)
_BY_NOUN = re.compile(
    r"\b(?:(?:helpline|hotline|lifeline|crisis line|crisis text line|support line|telephone|phone|tel|mobile|short ?code"
    r"|(?:emergency|crisis|phone|telephone|text|toll-?free|free|new|old|right|correct) (?:number|code|line)|number to (?:call|dial|text|ring|use))s?)"
    r"(?:(?:,? (?:is|are|was|at|on|has|have|had|now|reached|to|changed|moved|via|through|by|calling|dialling|texting|under|answers?|its|short|code"
    r"|number|the|new|become|been|replaced|with|for|this|use|using|can|be|us|uk|canada|from|we|run|today|since|dial|please|only))|:)*,? " + _NUMBER
)
_VANITY = re.compile(r"(?<![\w-])(?:\+?1[- .]\(?(?:8\d\d|900)\)?[- .]|(?:8\d\d|900)[-.])(?=[\d-]*[a-z])[a-z0-9]+(?:[-.][a-z0-9]+)?\b")
# "1.9OO.555.O177": letters that look like digits among digits.
_LETTERED = re.compile(r"(?<![\w])(?=(?:[ol.\-()]*\d){4})(?=[\d.\-()]*[ol])(?:[\dol][.\-()]?){6,}(?!\w)")
_LETTERS = str.maketrans("ol", "01")
_KEYPAD = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
# Every dash is one, and every space: a number is no other number for them.
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-") | dict.fromkeys("\u00a0\u2007\u202f\u2009", " "))
# A sentence that speaks of help: in it each short number is one to call, unless something is counted by it.
_OF_HELP = re.compile(
    r"\b(?:988|911|999|112|lifeline\w*|helpline\w*|hotline\w*|crisis (?:text )?lines?|emergency (?:number|line|services?|call)"
    r"|poison (?:control|help|cent(?:er|re)s?)|home to|in a crisis|samaritans)\b"
)
_SHORT = re.compile(
    r"(?<![\w.,$£€/%#-])(?<!\d )(?P<number>\d{3}|\d{5,6})(?!\w|[.,:/-]\d|-\w|\)? ?\d)"
    # Before a noun it counts something.
    r"(?= ?(?:[.,;:!?)\"']|$|\b(?:and|or|for|in|at|on|to|from|now|today|instead|if|when|day|night|is|are|any|free|please|with|not)\b))" + _UNITS
)
_HANDLE = re.compile(r"(?<![\w.])@[a-z]\w{2,}", re.IGNORECASE)
_ANY_SITE = re.compile(r"(?<![\w@./-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}\b(?!\.\w)", re.IGNORECASE)
# What ends a sentence without a space behind it, and short forms, are no sites.
_NO_SITES = re.compile(r"^(?:e\.g|i\.e|et\.al|u\.s|u\.k|u\.s\.a|a\.m|p\.m|m\.d|ph\.d)$", re.IGNORECASE)
_SITE = re.compile(r"[a-z0-9.-]+(?::443)?")
# Nobody but these authorities can own such an address.
_AUTHORITIES = re.compile(r"(?:^|\.)(?:gov|mil|nhs\.uk|gov\.uk|gc\.ca|europa\.eu|who\.int)$")


def known_contacts(named: Iterable[str]) -> frozenset[str]:
    """Numbers and addresses, as somebody wrote them, in the form that texts are compared in."""
    known: set[str] = set()
    for one in named:
        if re.search(r"[a-z]", one, re.IGNORECASE) and (re.search(r"\.[a-z]{2,}|:", one, re.IGNORECASE)):
            known.add(_bare(one))
        elif digits := _canonical(in_digits(one)):
            known.add(digits)
    return frozenset(known)


def of_card(source: Source) -> tuple[str, ...]:
    """What an article's card names: its address, those of its references, and its contacts."""
    references = (address for reference in source.references for address in (reference.link, reference.url) if address)
    return (source.url, *references, *source.contacts)


def foreign_link(words: str, known: Collection[str]) -> str | None:
    """The first web address in a text that is none of those known, or None. Whoever planted it, it is not shown.

    An address without a path ("988lifeline.org") is known where it is the site of a known one.
    """
    trusted = {_bare(address) for address in known}
    sites = {address.partition("/")[0] for address in trusted}
    spoken = _SPOKEN.sub(".", words)
    of_help = [match for match in _ANY_SITE.finditer(spoken) if not _NO_SITES.match(match.group())] if _OF_HELP.search(spoken.casefold()) else []
    for match in (*_ADDRESS.finditer(spoken), *_BARE.finditer(spoken), *of_help):
        address = _bare(match.group())
        scheme = match.group().partition(":")[0].casefold()
        if scheme in ("tel", "sms"):
            named = _canonical(in_digits(address.partition(":")[2])) in known_contacts(known)
        elif scheme in ("data", "javascript", "mailto", "ftp"):
            named = False
        else:
            site, _, path = address.partition("/")
            # "evil.example?.gov" and "who.int@evil.example" are no authorities: only what is a name and nothing else is one.
            named = address in trusted or (not path and site in sites) or (_SITE.fullmatch(site) is not None and _AUTHORITIES.search(site) is not None)
        if not named:
            return match.group()
    return None


def foreign_contact(words: str, known: frozenset[str]) -> str | None:
    """The first telephone number, short code or e-mail address in a text that is none of ``known_contacts``, or None."""
    words = words.translate(_DASHES)
    addresses = _SPOKEN.sub(".", words)
    if addresses != words or _BRACKETED_AT.search(words):
        addresses = _SPOKEN_AT.sub("@", addresses)
    for match in _MAIL.finditer(addresses):
        if match.group().casefold().rstrip(".") not in known:
            return match.group()
    if handle := _HANDLE.search(words):
        return handle.group()
    return next((number for number in _numbers(words) if _canonical(number) not in known), None)


def _numbers(words: str) -> Iterator[str]:
    """What looks like a number to call or text, as far as that can be told from its shape and the words around it."""
    plain_words = _LETTERED.sub(lambda match: match.group().translate(_LETTERS), _ADDRESS.sub(" ", _in_digits_with_groups(words)))
    for match in _VANITY.finditer(plain_words):
        yield match.group().translate(_KEYPAD)
    text = _NO_NUMBERS.sub(" # ", plain_words)
    for match in _RUN.finditer(text):
        if _looks_like_a_number(match.group(), text[max(0, match.start() - 40) : match.start()]):
            yield match.group()
    of_help = (_SHORT,) if _OF_HELP.search(text) else ()
    for pattern in (_BY_VERB, _BY_NOUN, *of_help):
        for match in pattern.finditer(text):
            yield match.group("number")


def _in_digits_with_groups(words: str) -> str:
    """Digits in place of words, but with thousands as they stand, so that "14,170 people" is told from a number to call."""
    return in_digits(re.sub(r"(?<=\d),(?=\d{3}\b)", "\ue002", words)).replace("\ue002", ",")


def _looks_like_a_number(run: str, before: str) -> bool:
    digits = re.sub(r"\D", "", run)
    if not _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS:
        return False
    if digits == run.strip("()") and not run.startswith("0"):
        # A bare long number is a count or an identifier unless it is spoken of as one to call.
        spoken_of = re.search(r"\b(?:call|dial|ring|phone|text|sms|number|line|tel|reach|contact|whatsapp|fax)\b", before)
        return spoken_of is not None or (len(digits) in (10, 11) and not digits.endswith("000"))
    groups = re.findall(r"\d+", run)
    if len(groups) > 1 and all(len(group) < 3 for group in groups) and not run.startswith(("+", "0", "(")):
        return False
    return not re.fullmatch(r"\d+\.\d+[ \-–—/]+\d+\.\d+", run)


def _canonical(number: str) -> str:
    digits = re.sub(r"\D", "", number.translate(_KEYPAD))
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits


def _bare(address: str) -> str:
    """An address without scheme, ``www.`` and closing signs."""
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", address.strip().casefold()).rstrip("/.,;:!?")
