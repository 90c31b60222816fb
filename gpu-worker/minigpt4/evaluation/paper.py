"""MiniGPT-4's published numbers (arXiv 2304.10592 v2 and the camera-ready text), for comparison.

They are of other photos, and people or GPT judged them, so compare magnitudes, not digits.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """`section` and `name` are those of the measure to compare with."""

    section: str
    name: str
    value: float
    about: str


PAPER = (
    Published("descriptions", "failed", 0.35, "stage 1, 100 COCO test images"),
    Published("descriptions", "failed", 0.02, "stage 2, 100 COCO test images"),
    Published("poems", "failed", 0.32, "stage 1, 100 COCO test images"),
    Published("poems", "failed", 0.01, "stage 2, 100 COCO test images"),
    Published("four tasks", "humour", 8 / 25, "people judged 25 images; BLIP-2: 0"),
    Published("four tasks", "recipe", 18 / 25, "people judged 25 images; BLIP-2: 4"),
    Published("four tasks", "advertisement", 19 / 25, "people judged 25 images; BLIP-2: 1"),
    Published("four tasks", "poem", 20 / 25, "people judged 25 images; BLIP-2: 0"),
    Published("descriptions", "CHAIR, mentions", 0.096, "long answers, COCO segmentations"),
    Published("captions", "CHAIR, mentions", 0.072, "short answers, COCO segmentations"),
    Published("descriptions", "words", 175, "long answers"),
    Published("captions", "words", 28.8, "short answers"),
)
