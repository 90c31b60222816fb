"""The sizes of a checkpoint, read from its config.json and its files' headers."""

import json
from dataclasses import dataclass
from pathlib import Path

DTYPES = {"float32": 4, "float16": 2, "bfloat16": 2}  # bytes of a value
_STORED = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2}


@dataclass(frozen=True)
class Footprint:
    """Sizes of a checkpoint.

    `values` counts the language model's floating-point values, which the engine keeps in its dtype;
    `linear` of them are in linear layers of the blocks, which can be quantised while loading;
    `packed_bytes` is what a quantised checkpoint keeps in integers. `encoder_cpu` and
    `encoder_gpu` are the image encoder's bytes, whatever the dtype.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    intermediate: int
    vocab: int
    context_length: int
    image_tokens: int
    exact: bool
    quantization: str | None
    values: int
    linear: int
    packed_bytes: int
    encoder_cpu: int
    encoder_gpu: int

    def kv_bytes(self, dtype: str, ranks: int = 1) -> int:
        """Bytes of one token's keys and values on one of `ranks`."""
        return 2 * self.layers * -(-self.kv_heads // ranks) * self.head_dim * DTYPES[dtype]

    def language_model_bytes(self, dtype: str, quantize: str | None = None) -> int:
        """With `quantize` `fp8`, linear layers take one byte per value."""
        size = DTYPES[dtype]
        saved = self.linear * (size - 1) if quantize == "fp8" and not self.quantization else 0
        return self.values * size + self.packed_bytes - saved

    def activation_bytes(self, dtype: str, batched_tokens: int, slots: int) -> int:
        """A batch's activations: a block's widest layers, and the logits with sampling's copies."""
        block = batched_tokens * (6 * self.hidden + 3 * self.intermediate) * DTYPES[dtype]
        return block + slots * self.vocab * 4 * 3


def read(checkpoint: Path) -> Footprint:
    """Raises OSError, ValueError or KeyError if this is not a checkpoint folder."""
    config = json.loads((checkpoint / "config.json").read_text())
    text, vision = config["text_config"], config["vision_config"]
    method = (config.get("quantization_config") or text.get("quantization_config") or {}).get(
        "quant_method"
    )
    exact = vision["tower"] == "efficientnet-lite2"  # the embedded models run in float32 everywhere
    values = linear = packed = encoder_cpu = encoder_gpu = 0
    for name, (dtype, count, size) in _tensors(checkpoint).items():
        if name.startswith("image_encoder."):
            half = dtype == "F16" and not exact
            encoder_cpu += 4 * count
            encoder_gpu += (2 if half else 4) * count
        elif dtype not in _STORED:
            packed += size
        else:
            values += count
            linear += count if ".layers." in name and name.endswith("_proj.weight") else 0
    if not values:
        raise ValueError("its files hold no language model")
    heads = text["num_attention_heads"]
    return Footprint(
        layers=text["num_hidden_layers"],
        heads=heads,
        kv_heads=text.get("num_key_value_heads") or heads,
        head_dim=text.get("head_dim") or text["hidden_size"] // heads,
        hidden=text["hidden_size"],
        intermediate=text["intermediate_size"],
        vocab=text["vocab_size"],
        context_length=text["max_position_embeddings"],
        image_tokens=config["num_image_tokens"],
        exact=exact,
        quantization=method,
        values=values,
        linear=linear,
        packed_bytes=packed,
        encoder_cpu=encoder_cpu,
        encoder_gpu=encoder_gpu,
    )


def _tensors(checkpoint: Path) -> dict[str, tuple[str, int, int]]:
    """Name -> (safetensors dtype, values, bytes), of all tensors of the checkpoint."""
    index = checkpoint / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.exists():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    found = {}
    for name in names:
        with (checkpoint / name).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > 100_000_000:  # the format's own bound
                raise ValueError(f"{name} is not a safetensors file")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for tensor, entry in header.items():
            count = 1
            for side in entry["shape"]:
                count *= side
            start, end = entry["data_offsets"]
            found[tensor] = (entry["dtype"], count, end - start)
    return found
