"""On what terms the data sets that are known come, and how much of each is kept for measuring."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Terms:
    """`research`: what is trained on it is for research only."""

    name: str
    licence: str
    research: bool = False
    held_out: int = 0


KNOWN = (
    Terms(
        "flickr8k",
        "Flickr8k: non-commercial research and education only (Hodosh, Young, Hockenmaier 2013); "
        "photos belong to their owners",
        research=True,
        held_out=800,
    ),
    Terms(
        "cc_sbu",
        "Conceptual Captions 3M and 12M, SBU, with BLIP's captions: free use with acknowledgement "
        "of Google LLC; SBU states no licence; pictures belong to their owners",
    ),
    Terms(
        "laion",
        "LAION-115M, BLIP's captions of LAION-400M: list under CC-BY-4.0, pictures belong to "
        "their owners",
    ),
)


def by_name(name: str) -> Terms | None:
    return next((terms for terms in KNOWN if terms.name == name), None)


def terms_of(path: str) -> Terms:
    """By the name of a folder on the way to the shards."""
    parts = [part.lower() for part in Path(path).absolute().parts]
    return next(
        (terms for terms in KNOWN if terms.name in parts),
        Terms("own", "not stated: whoever trains on it answers for it"),
    )
