"""MiniGPT-4 written out once more, from its description alone, to hold the reference against.

Plain tensor operations in float64 on weights under the names of the original files; nothing is
imported from the product. Slow and explicit on purpose: patches are sliced, heads are looped over.
`Facts` are what a checkpoint's shapes do not say; the tests turn them one by one to show that each
one would be noticed.
"""

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Facts:
    """Head counts and epsilons differ per model; the rest is the same for the whole family."""

    vision_heads: int
    qformer_heads: int
    text_heads: int
    rms_eps: float
    patch: int = 14
    image_token_id: int = 0
    block_eps: float = 1e-6
    ln_vision_eps: float = 1e-5
    qformer_eps: float = 1e-12
    gelu: str = "erf"
    rotary: str = "halves"
    rotary_base: float = 10000.0
    joined: str = "raster"
    attended_from: int = 0  # first vision token the queries attend to; 0 is the class token
    cross_attention_every: int = 2
    cross_attention_first: int = 0
    query_norm: bool = True


# Name in a checkpoint folder -> name in the original files.
NAMES = [
    (r"image_encoder\.vision\.embeddings\.class_embedding", "cls_token"),
    (r"image_encoder\.vision\.embeddings\.position_embedding", "pos_embed"),
    (r"image_encoder\.vision\.embeddings\.patch_embedding\.(weight|bias)", r"patch_embed.proj.\1"),
    (
        r"image_encoder\.vision\.encoder\.layers\.(\d+)\.layer_norm([12])\.(weight|bias)",
        r"blocks.\1.norm\2.\3",
    ),
    (
        r"image_encoder\.vision\.encoder\.layers\.(\d+)\.self_attn\.qkv\.weight",
        r"blocks.\1.attn.qkv.weight",
    ),
    (
        r"image_encoder\.vision\.encoder\.layers\.(\d+)\.self_attn\.projection\.(weight|bias)",
        r"blocks.\1.attn.proj.\2",
    ),
    (
        r"image_encoder\.vision\.encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(weight|bias)",
        r"blocks.\1.mlp.\2.\3",
    ),
    (r"image_encoder\.vision\.post_layernorm\.(weight|bias)", r"ln_vision.\1"),
    (r"image_encoder\.bridge\.query_tokens", "query_tokens"),
    (r"image_encoder\.bridge\.layernorm\.(weight|bias)", r"Qformer.bert.embeddings.LayerNorm.\1"),
    (
        r"image_encoder\.bridge\.encoder\.layer\.(\d+)\.(attention|crossattention)\.attention\."
        r"(query|key|value)\.(weight|bias)",
        r"Qformer.bert.encoder.layer.\1.\2.self.\3.\4",
    ),
    (
        r"image_encoder\.bridge\.encoder\.layer\.(\d+)\.((?:cross)?attention\.output|"
        r"intermediate_query|output_query)\.(dense|LayerNorm)\.(weight|bias)",
        r"Qformer.bert.encoder.layer.\1.\2.\3.\4",
    ),
    (r"image_encoder\.projection\.(weight|bias)", r"llama_proj.\1"),
    (r"language_model\.(.+)", r"\1"),
]
QKV_BIAS = re.compile(r"image_encoder\.vision\.encoder\.layers\.(\d+)\.self_attn\.qkv\.bias")


def original_weights(checkpoint: Weights) -> Weights:
    """A checkpoint's tensors, as they are, under the original names.

    The fused bias of queries, keys and values is taken apart again. Raises ValueError for a tensor
    that the original files have no place for, a bias of the keys among them.
    """
    out: Weights = {}
    for key, tensor in checkpoint.items():
        if match := QKV_BIAS.fullmatch(key):
            q_bias, k_bias, v_bias = tensor.chunk(3)
            if k_bias.count_nonzero():
                raise ValueError(f"{key}: the keys have a bias, the original has none")
            out[f"blocks.{match[1]}.attn.q_bias"] = q_bias
            out[f"blocks.{match[1]}.attn.v_bias"] = v_bias
            continue
        for pattern, name in NAMES:
            if match := re.fullmatch(pattern, key):
                out[match.expand(name)] = tensor
                break
        else:
            raise ValueError(f"{key}: the original files have no such tensor")
    return out


def softmax(scores: Tensor) -> Tensor:
    weights = torch.exp(scores - scores.max(-1, keepdim=True).values)
    return weights / weights.sum(-1, keepdim=True)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps) * weight + bias


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * weight


def gelu(x: Tensor, kind: str) -> Tensor:
    if kind == "erf":
        return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool = False) -> Tensor:
    """q [T, width], k and v [S, width] -> [T, width], one head after the other."""
    size = q.shape[-1] // heads
    out = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = (q[:, part] * size**-0.5) @ k[:, part].T
        if causal:
            later = torch.arange(len(k))[None] > torch.arange(len(q))[:, None]
            scores = scores.masked_fill(later, -torch.inf)
        out.append(softmax(scores) @ v[:, part])
    return torch.cat(out, -1)


class Oracle:
    """One model; every method takes one image or one prompt, without a batch axis."""

    def __init__(self, checkpoint: Weights, facts: Facts):
        self.weights = original_weights(checkpoint)
        self.facts = facts

    def w(self, name: str) -> Tensor:
        return self.weights[name].double()

    def linear(self, x: Tensor, name: str) -> Tensor:
        out = x @ self.w(f"{name}.weight").T
        return out + self.w(f"{name}.bias") if f"{name}.bias" in self.weights else out

    def norm(self, x: Tensor, name: str, eps: float) -> Tensor:
        return layer_norm(x, self.w(f"{name}.weight"), self.w(f"{name}.bias"), eps)

    def count(self, pattern: str) -> int:
        """How many layers the weights have."""
        found = [re.match(pattern, name) for name in self.weights]
        return 1 + max((int(match[1]) for match in found if match), default=-1)

    def vision(self, pixels: Tensor) -> Tensor:
        """pixels [3, side, side] -> [1 + patches, width], the class token first."""
        p, pixels = self.facts.patch, pixels.double()
        kernel, bias = self.w("patch_embed.proj.weight"), self.w("patch_embed.proj.bias")
        kernel = kernel.reshape(len(kernel), -1)
        tokens = [self.w("cls_token").reshape(-1)]
        for row in range(pixels.shape[1] // p):
            for column in range(pixels.shape[2] // p):
                patch = pixels[:, row * p : (row + 1) * p, column * p : (column + 1) * p]
                tokens.append(kernel @ patch.reshape(-1) + bias)
        x = torch.stack(tokens) + self.w("pos_embed")[0]
        for n in range(self.count(r"blocks\.(\d+)\.")):
            x = self.block(x, f"blocks.{n}")
        return self.norm(x, "ln_vision", self.facts.ln_vision_eps)

    def block(self, x: Tensor, name: str) -> Tensor:
        h = self.norm(x, f"{name}.norm1", self.facts.block_eps)
        q, k, v = (h @ part.T for part in self.w(f"{name}.attn.qkv.weight").chunk(3))
        q = q + self.w(f"{name}.attn.q_bias")
        v = v + self.w(f"{name}.attn.v_bias")
        x = x + self.linear(attend(q, k, v, self.facts.vision_heads), f"{name}.attn.proj")
        h = self.norm(x, f"{name}.norm2", self.facts.block_eps)
        h = gelu(self.linear(h, f"{name}.mlp.fc1"), self.facts.gelu)
        return x + self.linear(h, f"{name}.mlp.fc2")

    def qformer(self, states: Tensor) -> Tensor:
        """states [1 + patches, vision width] -> [queries, width]."""
        facts, states = self.facts, states[self.facts.attended_from :]
        x = self.w("query_tokens")[0]
        if facts.query_norm:
            x = self.norm(x, "Qformer.bert.embeddings.LayerNorm", facts.qformer_eps)
        for n in range(self.count(r"Qformer\.bert\.encoder\.layer\.(\d+)\.")):
            layer = f"Qformer.bert.encoder.layer.{n}"
            x = self.bert_attention(x, x, f"{layer}.attention")
            if n % facts.cross_attention_every == facts.cross_attention_first:
                x = self.bert_attention(x, states, f"{layer}.crossattention")
            h = gelu(self.linear(x, f"{layer}.intermediate_query.dense"), facts.gelu)
            h = self.linear(h, f"{layer}.output_query.dense")
            x = self.norm(h + x, f"{layer}.output_query.LayerNorm", facts.qformer_eps)
        return x

    def bert_attention(self, x: Tensor, source: Tensor, name: str) -> Tensor:
        q = self.linear(x, f"{name}.self.query")
        k = self.linear(source, f"{name}.self.key")
        v = self.linear(source, f"{name}.self.value")
        h = self.linear(attend(q, k, v, self.facts.qformer_heads), f"{name}.output.dense")
        return self.norm(h + x, f"{name}.output.LayerNorm", self.facts.qformer_eps)

    def joined_patches(self, states: Tensor) -> Tensor:
        """states [1 + patches, width] -> [patches / 4, 4 * width], neighbours along a row."""
        patches = list(states[1:])
        side = math.isqrt(len(patches))
        if self.facts.joined == "columns":
            patches = [
                patches[row * side + column] for column in range(side) for row in range(side)
            ]
        if self.facts.joined == "squares":
            patches = [
                patches[(row + y) * side + column + x]
                for row in range(0, side, 2)
                for column in range(0, side, 2)
                for y in range(2)
                for x in range(2)
            ]
        return torch.stack([torch.cat(patches[n : n + 4]) for n in range(0, len(patches), 4)])

    def bridge(self, states: Tensor) -> Tensor:
        return (
            self.qformer(states) if "query_tokens" in self.weights else self.joined_patches(states)
        )

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """pixels [3, side, side] -> [image tokens, the language model's width]."""
        return self.linear(self.bridge(self.vision(pixels)), "llama_proj")

    def logits(self, ids: list[int], images: list[Tensor]) -> Tensor:
        """ids [T], with image tokens' worth of placeholders per image -> [T, vocabulary]."""
        facts = self.facts
        rows = iter([row for pixels in images for row in self.image_tokens(pixels)])
        table = self.w("model.embed_tokens.weight")
        x = torch.stack([next(rows) if n == facts.image_token_id else table[n] for n in ids])
        if next(rows, None) is not None:
            raise ValueError("more images than placeholders")
        for n in range(self.count(r"model\.layers\.(\d+)\.")):
            layer = f"model.layers.{n}"
            h = rms_norm(x, self.w(f"{layer}.input_layernorm.weight"), facts.rms_eps)
            q = self.rotate(self.linear(h, f"{layer}.self_attn.q_proj"))
            k = self.rotate(self.linear(h, f"{layer}.self_attn.k_proj"))
            v = self.linear(h, f"{layer}.self_attn.v_proj")
            h = attend(q, k, v, facts.text_heads, causal=True)
            x = x + self.linear(h, f"{layer}.self_attn.o_proj")
            h = rms_norm(x, self.w(f"{layer}.post_attention_layernorm.weight"), facts.rms_eps)
            gate = self.linear(h, f"{layer}.mlp.gate_proj")
            h = gate / (1 + torch.exp(-gate)) * self.linear(h, f"{layer}.mlp.up_proj")
            x = x + self.linear(h, f"{layer}.mlp.down_proj")
        return self.linear(rms_norm(x, self.w("model.norm.weight"), facts.rms_eps), "lm_head")

    def rotate(self, x: Tensor) -> Tensor:
        """Rotary positions: x [T, width] -> the same; in each head, value i turns with i + half.

        Position t turns pair i of a head of size d by t * base^(-2i/d).
        """
        facts = self.facts
        size = x.shape[-1] // facts.text_heads
        half = size // 2
        position = torch.arange(len(x), dtype=x.dtype)[:, None]
        angle = position * facts.rotary_base ** (-2 * torch.arange(half, dtype=x.dtype) / size)
        out = x.clone()
        for head in range(facts.text_heads):
            if facts.rotary == "halves":
                first = torch.arange(half) + head * size
                second = first + half
            else:
                first = torch.arange(0, size, 2) + head * size
                second = first + 1
            a, b = x[:, first], x[:, second]
            out[:, first] = a * angle.cos() - b * angle.sin()
            out[:, second] = a * angle.sin() + b * angle.cos()
        return out
