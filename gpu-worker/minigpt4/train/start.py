"""Fits what the training of a model with frozen components starts with, in closed form.

Two files. `components.safetensors` is the frozen affine map from the pooled maps of the encoder to
their principal components on the training photos; it belongs to the frozen part of the model.
`start.safetensors` is a projection for stage 1 to start with: class tokens are the embeddings of
the class's name, the other tokens are the embeddings of caption words that the components predict.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer

from ..bridge import pool
from ..checkpoints import gguf_model
from ..checkpoints.embedded import Recipe, image_encoder, language_model_file
from ..config import EfficientNetConfig
from ..efficientnet import EfficientNetLite2
from ..input_error import InputError
from ..processing import fit, normalise
from .files import replace_atomically
from .nano.initial import name_rows
from .photos import Photo
from .run_folder import smallest

COMPONENTS, START = "components.safetensors", "start.safetensors"
AT_ONCE = 4
LEAST_STD = 1e-3  # a channel that says nothing must not become large by being divided
WORDS = 400  # most frequent ones of the captions, that are one token each
RIDGE = 3000.0  # chosen on the photos for choosing, by how well words are ranked
SAYS_NOTHING = """
    a an the in on of at to and with is are his her its their it he she they this that as by for
    from into up down out over off near while who which one two some there behind around through
    along across has have having other another very each no not or but front back side
"""
STOP = frozenset(SAYS_NOTHING.split())
WORD = re.compile(r"[a-z]+")


def words_of(captions: Iterable[str]) -> set[str]:
    """What the captions of a photo name, in lower case."""
    return {word for text in captions for word in WORD.findall(text.lower())} - STOP


@torch.inference_mode()
def pooled(
    photos: Sequence[Photo],
    encoder: EfficientNetLite2,
    vision: EfficientNetConfig,
    stages: Sequence[int],
    look: Callable[[Photo], object],
    advance: Callable[[int], None],
) -> torch.Tensor:
    """Photos -> [N, F], as bridge.py pools them. `look` opens a photo as an upright RGB picture."""
    encoder.to(memory_format=torch.channels_last)
    rows = []
    for start in range(0, len(photos), AT_ONCE):
        some = photos[start : start + AT_ONCE]
        squares = [fit(look(photo), vision.image_size, vision.fit) for photo in some]
        pixels = torch.stack([normalise(square, vision) for square in squares])
        rows.append(pool(encoder(pixels.to(memory_format=torch.channels_last)), stages))
        advance(len(some))
    return torch.cat(rows)


def principal_components(values: torch.Tensor, size: int) -> dict[str, torch.Tensor]:
    """[N, F] -> weight [size, F] and bias [size] of the affine map to their components.

    Each channel is standardised first. The components keep their proportions, so that what varies
    most counts most; together they have a variance of `size`. Signs are fixed: a component's
    largest weight is positive.
    """
    mean, std = values.double().mean(0), values.double().std(0).clamp_min(LEAST_STD)
    standard = (values.double() - mean) / std
    variances, axes = torch.linalg.eigh(standard.T @ standard / len(standard))
    axes, variances = axes.flip(1)[:, :size], variances.flip(0)[:size]
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    weight = (axes * largest.sign() / variances.mean().sqrt()).T / std  # [size, F]
    kept = smallest(weight)
    return {"weight": kept, "bias": (-kept.double() @ mean).float()}


def word_rows(
    components: torch.Tensor,
    captions: Sequence[Sequence[str]],
    tokenizer: Tokenizer,
    embeddings: torch.Tensor,
    tokens: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """components [N, D] -> weight [tokens * hidden, D] and bias of tokens that lean to words.

    A ridge regression predicts how many of a photo's captions hold each frequent word. The words
    are put into `tokens` groups of like meaning; a group's token is the sum of its words'
    embeddings, each times its prediction, scaled to an embedding's usual length.
    """
    named = [words_of(each) for each in captions]
    counts = Counter(word for words in named for word in words)
    ids = {word: tokenizer.encode(" " + word, add_special_tokens=False).ids for word in counts}
    frequent = sorted(counts, key=lambda word: (-counts[word], word))
    words = [word for word in frequent if len(ids[word]) == 1][:WORDS]
    shares = torch.tensor(
        [
            [sum(word in words_of([text]) for text in each) / len(each) for word in words]
            for each in captions
        ]
    )  # [N, words]
    mean = shares.mean(0)
    gram = components.T @ components + RIDGE * torch.eye(components.shape[1])
    predict = torch.linalg.solve(gram, components.T @ (shares - mean))  # [D, words]
    table = torch.stack([embeddings[ids[word][0]].float() for word in words])  # [words, hidden]
    groups = alike(table, tokens)
    weights, biases = [], []
    for group in range(tokens):
        chosen = (groups == group).nonzero()[:, 0]
        weight, bias = (predict[:, chosen] @ table[chosen]).T, mean[chosen] @ table[chosen]
        length = (components @ weight.T + bias).norm(dim=1).mean().clamp_min(1e-9)
        scale = table.norm(dim=1).mean() / length
        weights.append(weight * scale)
        biases.append(bias * scale)
    return torch.cat(weights), torch.cat(biases)


def alike(table: torch.Tensor, groups: int, rounds: int = 30) -> torch.Tensor:
    """[words, hidden] -> the group of each word, by spherical k-means from the first words on."""
    unit = F.normalize(table - table.mean(0), dim=1)
    centres = unit[:groups]
    for _ in range(rounds):
        nearest = (unit @ centres.T).argmax(1)
        centres = torch.stack(
            [
                F.normalize(unit[nearest == n].sum(0), dim=0) if (nearest == n).any() else centre
                for n, centre in enumerate(centres)
            ]
        )
    return (unit @ centres.T).argmax(1)


def class_names(listing: Path) -> list[str]:
    """The names of photos.jsonl in the order of the encoder's classes. Raises InputError."""
    try:
        rows = [json.loads(line) for line in listing.read_text().splitlines()]
        return [row["name"] for row in sorted(rows, key=lambda row: row["synset"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"names: {listing}: {error}", "--names names a photos.jsonl") from None


def make(
    recipe: Recipe,
    photos: Sequence[Photo],
    names: Sequence[str],
    out: Path,
    look: Callable[[Photo], object],
    advance: Callable[[int], None],
) -> None:
    """Writes both files to the folder `out`. Raises InputError, FileNotFoundError or WrongPart."""
    vision, bridge = EfficientNetConfig(), recipe.bridge
    if len(names) != vision.num_classes:
        raise InputError(
            f"names: {len(names)} classes, the encoder has {vision.num_classes}",
            "bring the whole photos.jsonl",
        )
    state = image_encoder(recipe, None)
    encoder = EfficientNetLite2().eval()
    encoder.load_state_dict(
        {k.removeprefix("vision."): v for k, v in state.items() if k.startswith("vision.")}
    )
    values = pooled(photos, encoder, vision, bridge["stages"], look, advance)
    found = principal_components(values, bridge["raw_size"])
    components = values @ found["weight"].float().T + found["bias"]  # [N, D]
    with TemporaryDirectory(dir=out) as scratch:
        reader = gguf.GGUFReader(language_model_file(recipe, Path(scratch)))
        embeddings = gguf_model.embeddings(reader)
        tokenizer = gguf_model.tokenizer(reader, recipe.image_token, recipe.renamed)
    named = bridge["num_class_tokens"]
    weight, bias = word_rows(
        components,
        [photo.captions for photo in photos],
        tokenizer,
        embeddings,
        recipe.image_tokens - named,
    )
    projection = {
        "classes.weight": name_rows(list(names), tokenizer, embeddings, named),
        "raw.weight": weight,
        "raw.bias": bias,
    }
    keys = hashlib.sha256("\n".join(photo.key for photo in photos).encode()).hexdigest()
    about = {"format": "pt", "photos": str(len(photos)), "photos_sha256": keys}
    for name, tensors in ((COMPONENTS, found), (START, projection)):
        kept = {key: smallest(value) for key, value in tensors.items()}
        replace_atomically(
            out / name, lambda part, kept=kept: save_file(kept, part, metadata=about)
        )
