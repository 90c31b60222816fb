"""Checks the form of poems, recipes, pages and prose. Each check returns what is missing."""

import re
from html.parser import HTMLParser

from .lexicon import word_set

VOID = word_set(
    "area base br col embed hr img input link meta param source track wbr path circle rect "
    "line polygon polyline ellipse use stop"
)
# Elements whose end tags are optional in HTML.
LOOSE = word_set("p li dt dd tr td th option tbody thead tfoot colgroup html head body")
UNREAD = frozenset(("script", "style", "template"))
SECTION = re.compile(
    r"^[\W_]*(?:\w+\s+){0,3}?(ingredients?|steps?|instructions?|directions?|method|preparation)\b",
    re.I,
)
LISTED = re.compile(r"^\s*(?:[-*•\u2013](?!\*)|\(?\d{1,2}[.):])\s*\S")
NUMBERED = re.compile(r"^\s*(?:\(?\d{1,2}[.):]|step\s+\d+)", re.I)
ELSEWHERE = re.compile(r"^(?!#|data:|mailto:|tel:|javascript:)\S")


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def poem(text: str) -> str | None:
    """At least four short lines, most of them with several words."""
    lines = lines_of(text)
    if len(lines) < 4:
        return f"{len(lines)} lines; a poem has at least 4"
    longest = max(len(line.split()) for line in lines)
    if longest > 16:
        return f"a line of {longest} words; a poem's have at most 16"
    if sum(len(line.split()) >= 2 for line in lines) < 4:
        return "its lines hold one word each"
    if any(LISTED.match(line) for line in lines):
        return "it is a list"
    return None


def recipe(text: str) -> str | None:
    """A heading and at least three ingredients, and a heading and at least two steps."""
    found = {"ingredients": 0, "steps": 0}
    headed: set[str] = set()
    part = ""
    for line in lines_of(text):
        heading = SECTION.match(line)
        # "Ingredients: flour, sugar" has its entries in the same line.
        if heading and not (LISTED.match(line) and part):
            part = "ingredients" if heading[1].lower().startswith("ingredient") else "steps"
            headed.add(part)
            rest = line[heading.end() :].strip(" :*-")
            if rest and part == "ingredients":
                found[part] += len([each for each in rest.split(",") if each.strip()])
            elif rest:
                found[part] += _sentences(rest)
        elif part == "ingredients" and NUMBERED.match(line) and found[part] >= 3 and _acts(line):
            part = "steps"
            found[part] += _sentences(line)
        elif part:
            found[part] += _sentences(line) if part == "steps" else 1
    if "ingredients" not in headed:
        return "it has no list of ingredients"
    if found["ingredients"] < 3:
        return f"{found['ingredients']} ingredients; a recipe has at least 3"
    if found["steps"] < 2:
        return "it has no steps" if not found["steps"] else "it has one step only"
    return None


def _sentences(line: str) -> int:
    return len(re.findall(r"\w[.!;](?:\s|$)", re.sub(r"^\W*\d{1,2}[.):]", "", line))) or 1


def _acts(line: str) -> bool:
    return bool(re.search(r"\d[.):]\s*[A-Z][a-z]+ (?:the|a|an|all|in|it)\b", line))


class Page(HTMLParser):
    """Parses a page strictly: every element must end in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.trouble: str | None = None
        self.seen: set[str] = set()
        self.text: list[str] = []
        self.title = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        for name, value in attrs:
            loads = name == "src" or (name == "href" and tag == "link")
            if loads and value and ELSEWHERE.match(value):
                self._say(f"<{tag}> loads {value[:60]!r}, which the page does not hold")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        while self._open and self._open[-1] != tag and self._open[-1] in LOOSE:
            self._open.pop()
        if self._open and self._open[-1] == tag:
            self._open.pop()
        elif tag not in LOOSE:
            self._say(
                f"</{tag}> stands where <{self._open[-1]}> is open"
                if self._open
                else f"</{tag}> ends nothing"
            )

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "title":
            self.title += data
        elif not UNREAD & set(self._open):
            self.text.append(data)

    def close(self) -> None:
        super().close()
        left = [tag for tag in self._open if tag not in LOOSE]
        if left:
            self._say(f"<{left[-1]}> is never closed")

    def _say(self, trouble: str) -> None:
        self.trouble = self.trouble or trouble


def read_page(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    return page


def visible_text(text: str) -> str:
    """The text that a page shows; any other text unchanged."""
    if not re.search(r"<\s*(?:!doctype|html|body|head|div|h1|p)\b", text, re.I):
        return text
    page = read_page(text)
    shown = [page.title, *page.text]
    return "\n".join(line for part in shown for line in lines_of(part))


def website(text: str) -> str | None:
    """A complete page that parses, with a body, a title or heading, and text. It loads nothing."""
    start = text.lstrip()[:200].lower()
    if not (start.startswith("<!doctype html") or start.startswith("<html")):
        return "it does not begin as a page does"
    if not text.rstrip().lower().endswith("</html>"):
        return "it does not end with </html>"
    page = read_page(text)
    if page.trouble:
        return page.trouble
    if "body" not in page.seen:
        return "it has no <body>"
    if not ({"title", "h1", "h2"} & page.seen):
        return "it has neither title nor heading"
    if len(" ".join(page.text).split()) < 5:
        return "its body says next to nothing"
    return None


def story(text: str) -> str | None:
    """Three sentences or more, not a list."""
    lines = lines_of(text)
    if sum(bool(LISTED.match(line)) for line in lines) > 1:
        return "it is a list"
    ends = len(re.findall(r"[.!?…]+[\"'”\u2019)]*(?:\s|$)", text))
    return f"{ends} sentences; a story has at least 3" if ends < 3 else None


def prose(text: str) -> str | None:
    """Paragraphs, neither a list nor markup."""
    if re.search(r"<\s*/?\s*[a-z][a-z0-9]*\b[^>]*>", text, re.I):
        return "it holds markup"
    if sum(bool(LISTED.match(line)) for line in lines_of(text)) > 1:
        return "it is a list"
    if "```" in text or re.search(r"^#{1,6} ", text, re.M):
        return "it holds markup"
    return None
