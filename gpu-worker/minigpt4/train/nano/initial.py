"""The initial projection: each image token is the embedding of the word it stands for."""

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from ...config import MiniGPT4Config
from .measure import COLOURS
from .texts import LIGHT

GAIN = 0.35  # of a logit, so that a certain colour gives a token with an embedding's usual norm


def name_rows(
    names: list[str], tokenizer: Tokenizer, embeddings: torch.Tensor, tokens: int
) -> torch.Tensor:
    """Class names -> the class block's weight [tokens * hidden, classes].

    Column c has the embeddings of the first `tokens` tokens of name c. A shorter name is padded
    with newlines, so that every name is aligned at its start.
    """
    newline = tokenizer.encode("\n", add_special_tokens=False).ids
    columns = []
    for name in names:
        ids = tokenizer.encode(" " + name, add_special_tokens=False).ids
        ids = (ids + newline * tokens)[:tokens]
        columns.append(embeddings[ids].flatten())
    return torch.stack(columns, dim=1)


def logit_rows(
    raw: torch.Tensor, label: torch.Tensor, words: list[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight [hidden, 64] and bias [hidden] of a token that leans towards the label's word.

    A multinomial logistic regression of `label` [S] on standardised `raw` [S, 64] gives a logit for
    each word. The token is the sum of the words' embeddings, each times its logit.
    """
    weight = torch.zeros(len(words), raw.shape[1], requires_grad=True)
    bias = torch.zeros(len(words), requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(raw @ weight.T + bias, label) + 1e-3 * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    table = torch.stack(words, dim=1) * GAIN  # [hidden, words]
    with torch.no_grad():
        return table @ (weight - weight.mean(0)), table @ (bias - bias.mean())


def initial_projection(
    names: list[str],
    raw: torch.Tensor,
    colour: torch.Tensor,
    light: torch.Tensor,
    tokenizer: Tokenizer,
    embeddings: torch.Tensor,
    config: MiniGPT4Config,
) -> dict[str, torch.Tensor]:
    """The state dict of a projection over standardised raw features, before training.

    names [1000] in the head's class order; raw [S, 64], colour [S] and light [S] of training
    views; embeddings [vocab, hidden] of the language model.
    """

    def word(text: str) -> torch.Tensor:
        return embeddings[tokenizer.encode(" " + text, add_special_tokens=False).ids[0]]

    colours = logit_rows(raw, colour, [word(name) for name in COLOURS])
    lights = logit_rows(raw, (light > LIGHT).long(), [word("dark"), word("light")])
    both = tuple(a + b for a, b in zip(colours, lights, strict=True))
    blocks = [colours, both]
    return {
        "classes.weight": name_rows(
            names, tokenizer, embeddings, config.bridge_config.num_class_tokens
        ),
        "raw.weight": torch.cat([weight for weight, _ in blocks]),
        "raw.bias": torch.cat([bias for _, bias in blocks]),
    }
