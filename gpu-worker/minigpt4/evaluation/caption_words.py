"""Text -> the words that caption scores use: the Penn Treebank's rules, without punctuation.

The published scores take their words from a Java program (Stanford's `PTBTokenizer`, lowercased,
without punctuation). These rules need no Java, and give the same words for each of Flickr8k's
36,455 captions. Known differences are nested apostrophes (rock'n'roll) and no!yes.
"""

import re


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as text."""
    return frozenset(text.split())


# The published scorer drops these. It keeps brackets, because it lists them in capitals.
DROPPED = word_set("'' ' `` ` . ? ! , : - -- ... ;")
PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019", "'"),  # single quotes
        **dict.fromkeys("\u201c\u201d", '"'),
        **dict.fromkeys("\u2013\u2014", "--"),  # dashes
        "\u2026": "...",
    }
)
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "{": "-lcb-", "}": "-rcb-", "[": "-lsb-", "]": "-rsb-"}
# Written as one word, counted as two.
JOINED = {
    "cannot": ("can", "not"),
    "gonna": ("gon", "na"),
    "wanna": ("wan", "na"),
    "gotta": ("got", "ta"),
    "gimme": ("gim", "me"),
    "lemme": ("lem", "me"),
    "'tis": ("'t", "is"),
    "'twas": ("'t", "was"),
}
NOT = "\ue000"  # stands for n't while words are split
PIECE = re.compile(
    rf"""
      https?://\S+
    | </?\w+>                                       # a tag
    | [^\W_]+(?:[._+-][^\W_]+)*@\w+(?:\.\w+)+       # an address
    | (?:mr|mrs|ms|dr|st|jr|sr|vs|etc|prof|gen|capt|inc)\.(?!\w)
    | (?:[a-z]\.){{2,}} | \b[a-z]\.(?=[\s"]*$|\s+\w)  # a.b.c., an initial
    | \d+:\d+(?=[a-z]|\b) | '\d0s\b                 # a time of day, a decade
    | \d+(?:[.,/]\d+)*(?:-?[a-z]+\d*(?:-\w+)*)?     # numbers, 3-foot, 2nd, 4x4
    | [od]'[^\W\d_]{{2,}}(?:-\w+)*                  # o'brien
    | '(?:tis|twas|n')(?!\w)
    | \w+(?:[-/.]\w+)*                              # tri-colored, black/white
    | '(?:s|m|d|re|ve|ll)\b
    | -(?:lrb|rrb)- | \.{{2,}} | -+ | {NOT} | \S
    """,
    re.VERBOSE,
)
CLITIC = re.compile(r"(?<=\w)('s|'m|'d|'re|'ve|'ll|n't)(?!\w)")


def words(text: str) -> list[str]:
    """Lowercase words in order, without punctuation; `doesn't` is `does n't`."""
    text = CLITIC.sub(r" \1 ", text.translate(PLAIN).lower()).replace(" n't", f" {NOT}")
    out: list[str] = []
    for piece in PIECE.findall(text):
        if piece == NOT:
            out.append("n't")
        elif piece in JOINED:
            out += JOINED[piece]
        else:
            out.append(BRACKETS.get(piece, piece))
    return [word for word in out if word not in DROPPED and not set(word) <= set("-.\"'`")]


def joined(text: str) -> str:
    """The words with single spaces, as the published scorers take them."""
    return " ".join(words(text))
