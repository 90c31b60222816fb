"""A model card says of its projection what the projection's file and its data sets say."""

import re
from pathlib import Path

import pytest
from safetensors import safe_open

from minigpt4.train.data_sets import DATA_SETS

CARDS = sorted((Path(__file__).parents[1] / "weights").glob("*/README.md"))


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.parent.name)
def test_a_card_says_whether_its_projection_is_for_research_only(card: Path):
    with safe_open(card.with_name("projection.safetensors"), "pt") as file:
        metadata = file.metadata() or {}
    told = metadata.get("research_only")
    if told is None:  # nano's file is older than the trainer that writes the metadata
        assert card.parent.name == "nano"
        told = str(DATA_SETS["imagenet-photos"].research).lower()
    (terms,) = re.findall(r"^\| this projection \| ([^|]+) \|$", card.read_text(), re.M)
    assert ("research and education only" in terms) == (told == "true")
