"""Product texts without what a web page left in them.

Tags, entities (also escaped twice), scripts, style sheets and fragments of page code go; language,
script, letter case and punctuation stay as they are.
"""

from __future__ import annotations

import html
import re

# Elements of HTML. Only these are tags: `<3` and `a < b > c` are text.
_BLOCK = (
    "address|article|aside|blockquote|body|br|button|caption|center|col|colgroup|dd|details|dialog"
    "|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr"
    "|html|iframe|img|input|legend|li|link|main|map|menu|meta|nav|noframes|object|ol|optgroup"
    "|option|p|param|picture|pre|section|select|source|summary|svg|table|tbody|td|template"
    "|textarea|tfoot|th|thead|title|tr|track|ul|video|audio|canvas|embed|area|base"
)
_INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|meter"
    "|nobr|o:p|output|progress|q|ruby|rp|rt|s|samp|small|span|strike|strong|sub|sup|time|tt|u|var"
    "|wbr"
)
_HIDDEN = "script|style|noscript"
_NAMES = f"{_HIDDEN}|{_BLOCK}|{_INLINE}"
# With attributes, of which at least one has a value: `<b and c>` is no tag.
_ATTRIBUTES = r"(?:[\s/][^<>]*=[^<>]*|\s*/?)"

_CODE_ELEMENT = re.compile(
    rf"<({_HIDDEN})(?:\s[^<>]*)?>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[|\]\]>|<![a-z][^<>]*>", re.I | re.DOTALL)
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK}|{_HIDDEN}){_ATTRIBUTES}>", re.IGNORECASE)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE}){_ATTRIBUTES}>", re.IGNORECASE)
# What is left where a text was cut within a tag: its start at the end, its end at the start.
_CUT_START = re.compile(rf"</?(?:{_NAMES})(?:\s[^<>]*=[^<>]*|\s*/?)\Z", re.IGNORECASE)
_CUT_END = re.compile(r"\A\s*(?:[\w:-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*')\s*)+/?>")
# Statements that only page code has; the text from there on is code.
_CODE = re.compile(
    r"\bvar\s+aPageStart\b|\bvar\s+ue_\w+\s*=|\bwindow\.ue\w*\s*=|\bue_csm\b"
    r"|\bP\.(?:when|now|register)\s*\(|\(\s*function\s*\(\s*\w*(?:\s*,\s*\w+)*\s*\)\s*\{"
    r"|\bvar\s+\w+\s*=\s*\(?\s*new\s+Date\b|\$\(document\)\.ready\s*\("
    r"|\bif\s*\(\s*(?:typeof|window\.)"
)
# Rules of a style sheet: `.price{color:red}`. The last may be cut.
_STYLE = re.compile(
    r"(?:@media[^{}<>]*\{\s*)?[.#][A-Za-z_][^{}<>;]*\{\s*[\w-]+\s*:[^{}]*(?:\}+|\Z)"
)

# Only with its semicolon: of "AT&T" and "R&not" nothing is an entity.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPED_AMPERSAND = re.compile(r"&(?:amp;)+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_WINDOWS_CONTROL = re.compile(r"[\x80-\x84\x86-\x9f]")
_INVISIBLE = re.compile("[\u200b\u2060\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Anything that the steps below could change.
_SUSPECT = re.compile("[<>&{}=()\x00-\x1f\x7f-\xa0\u200b\u2060\ufeff\ud800-\udfff]")
# Each round undoes one escaping and the tags that it brought to light.
_ROUNDS = 12


def clean_text(text: str) -> str:
    """Cleans one text; what is wholly page code becomes the empty text.

    Cleaning twice is cleaning once.
    """
    if _SUSPECT.search(text):
        text = _SURROGATE.sub("\ufffd", text)
        for _ in range(_ROUNDS):
            before = text
            text = _strip(_unescape(text))
            if text == before:
                break
    return " ".join(text.split())


def clean_texts(values: list[str]) -> list[str]:
    """Cleans several texts; empty ones and repetitions go, the order stays."""
    return list(dict.fromkeys(text for text in map(clean_text, values) if text))


def _unescape(text: str) -> str:
    if "&" not in text:
        return text
    text = _ESCAPED_AMPERSAND.sub("&amp;", text)
    return _ENTITY.sub(lambda match: html.unescape(match.group()), text)


def _strip(text: str) -> str:
    text = _CONTROL.sub(" ", text)
    # Text of Windows that somebody took for Latin-1: quotes, dashes, the euro.
    text = _WINDOWS_CONTROL.sub(_of_windows, text)
    text = _INVISIBLE.sub("", text)
    if "<" in text or ">" in text:
        text = _CODE_ELEMENT.sub(" ", text)
        text = _COMMENT.sub(" ", text)
        text = _CUT_START.sub(" ", text)
        text = _CUT_END.sub(" ", text)
        text = _BLOCK_TAG.sub(" ", text)
        text = _INLINE_TAG.sub("", text)
    if "{" in text:
        text = _STYLE.sub(" ", text)
    if "(" in text or "=" in text or "ue_csm" in text:
        code = _CODE.search(text)
        if code:
            text = text[: code.start()]
    return " ".join(text.split())


def _of_windows(match: re.Match[str]) -> str:
    try:
        return match.group().encode("latin-1").decode("cp1252")
    except UnicodeDecodeError:
        return " "
