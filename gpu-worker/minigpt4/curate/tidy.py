"""Cleans an answer before the rules check it: removes fences, quotes and a greeting in front.

It never adds a word. The work log keeps the original answer.
"""

import re

FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)(?:\n```|\Z)", re.S)
# "Sure! Here is a poem about it:" in front of the poem.
PREAMBLE = re.compile(
    r"\A(?:(?:sure|certainly|of course|absolutely|okay|ok)\b[^\n:.!]*[:.!,]\s*)?"
    r"(?:(?:here(?:'s| is| are)|below is|this is)\b[^\n:.]{0,100}:\s*)?",
    re.I,
)
LABEL = re.compile(
    r"\A(?:\W{0,3})(?:(?:corrected|edited|revised|final|detailed|fixed) )?"
    r"(?:text|description|version|caption|answer|output|poem|story|advertisement)"
    r"\W{0,2}:\W{0,3}\s*",
    re.I,
)
QUOTES = {'"': '"', "“": "”", "'": "'"}


def tidy(answer: str, page: bool = False) -> str:
    """`page`: the answer should be HTML; the text around it is removed."""
    text = answer.replace("\r\n", "\n").replace("\u00a0", " ").strip()
    if fenced := FENCE.search(text):
        text = fenced[1].strip() if page or text.startswith("```") else text
    if page:
        begin = re.search(r"<!doctype html|<html\b", text, re.I)
        end = text.lower().rfind("</html>")
        text = text[begin.start() :] if begin else text
        if begin and end > 0:
            text = text[: text.lower().rfind("</html>") + len("</html>")]
        return text.strip()
    text = text[PREAMBLE.match(text).end() :].strip()  # type: ignore[union-attr]
    text = text[labelled.end() :].strip() if (labelled := LABEL.match(text)) else text
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text)
    text = re.sub(r"^#{1,6}\s+", "", text, flags=re.M)
    closing = QUOTES.get(text[:1])
    if closing and text.endswith(closing) and closing not in text[1:-1]:
        text = text[1:-1].strip()
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
