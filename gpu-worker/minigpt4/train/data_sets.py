"""The known data sets: their terms, and their defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """`weights` are for stages 1 and 2; 0 where its captions are not trained on.

    `test` and `choose` keys are held out. `research`: models trained on it are for research only.
    """

    licence: str
    weights: tuple[float, float] = (1, 1)
    test: int = 0
    choose: int = 0
    research: bool = False


OWN = "own"
DATA_SETS = {
    "laion": DataSet(
        "LAION-115M, BLIP's captions of LAION-400M: list under CC-BY-4.0, pictures belong to "
        "their owners",
        weights=(115, 0),
    ),
    "cc_sbu": DataSet(
        "Conceptual Captions 3M and 12M, SBU, with BLIP's captions: free use with acknowledgement "
        "of Google LLC; SBU states no licence; pictures belong to their owners",
        weights=(14, 0),
    ),
    "cc_sbu_align": DataSet(
        "MiniGPT-4's curated descriptions of Conceptual Captions: texts edited by ChatGPT, under "
        "OpenAI's terms; pictures belong to their owners",
        weights=(0, 1),
    ),
    "flickr8k": DataSet(
        "Flickr8k: non-commercial research and education only (Hodosh, Young, Hockenmaier 2013); "
        "photos belong to their owners",
        weights=(1, 0),
        test=500,
        choose=300,
        research=True,
    ),
    "imagenet-photos": DataSet(
        "ImageNet samples: research and education only; names by WordNet 3.0, Princeton's licence",
        weights=(1, 0),
        test=100,
        research=True,
    ),
    OWN: DataSet("not stated: whoever trains on it answers for it"),
}
