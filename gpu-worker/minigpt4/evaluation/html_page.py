"""Finds and parses the HTML page in an answer, and extracts what a reader sees."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from .caption_words import word_set

FENCE = re.compile(r"```(?:html)?[^\S\n]*\n(.*?)(```|\Z)", re.DOTALL | re.IGNORECASE)
START = re.compile(r"<!doctype html|<html|<head|<body", re.IGNORECASE)
VOID = word_set("area base br col embed hr img input link meta param source track wbr !doctype")
# Elements whose end tags are optional.
OPTIONAL_END = word_set(
    "p li dt dd option tr td th thead tbody tfoot html head body colgroup optgroup rp rt"
)
UNSEEN = word_set("script style title head template noscript")
BUTTONS = word_set("button a")


@dataclass
class Page:
    """`problem` says why the answer is not a page; empty if it is one."""

    source: str
    title: str = ""
    text: str = ""
    buttons: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def parses(self) -> bool:
        return not self.problem


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.problem = ""
        self.title, self.text = [], []
        self.buttons: list[str] = []
        self._button: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        of = dict(attrs)
        if tag == "input" and (of.get("type") or "").lower() in ("submit", "button", "reset"):
            self.buttons.append(of.get("value") or "")
        if tag in BUTTONS:
            self._button = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if tag in BUTTONS and self._button is not None:
            self.buttons.append(" ".join("".join(self._button).split()))
            self._button = None
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL_END:
            self.open.pop()
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag not in OPTIONAL_END:
            self.problem = self.problem or f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "title" in self.open:
            self.title.append(data)
        elif UNSEEN.isdisjoint(self.open):
            self.text.append(data)
            if self._button is not None:
                self._button.append(data)


def page_source(answer: str) -> str:
    """The fenced code of an answer, or its text from the first page tag to the last `>`, or "".

    Code without a page tag counts only if its fence is closed, which shows that it is complete.
    """
    fenced = FENCE.search(answer)
    source = fenced[1] if fenced else answer
    start = START.search(source)
    if start is None:
        return source.strip() if fenced and fenced[2] else ""
    end = source.rfind(">")
    return source[start.start() : end + 1].strip()


def read_page(answer: str) -> Page:
    """Parses a page. Elements that need an end tag must have it, in order, and text must show.

    Browsers repair anything, but here a page that is cut off inside an element does not count.
    """
    source = page_source(answer)
    page = Page(source)
    if not source:
        page.problem = "no HTML in the answer"
        return page
    reader = _Reader()
    reader.feed(source)
    reader.close()
    page.title = " ".join("".join(reader.title).split())
    page.text = " ".join(" ".join(reader.text).split())
    page.buttons = [button for button in reader.buttons if button]
    unclosed = [tag for tag in reader.open if tag not in OPTIONAL_END - {"html", "body"}]
    if not reader.seen:
        page.problem = "no HTML in the answer"
    elif source.rfind("<") > source.rfind(">"):
        page.problem = "it ends within a tag"
    elif reader.problem:
        page.problem = reader.problem
    elif unclosed:
        page.problem = f"<{unclosed[-1]}> is not closed"
    elif not page.text:
        page.problem = "it shows no text"
    return page
