"""The family's models with small widths and random weights that hide nothing.

Every bias, norm, query and position is random and far from 0 or 1, so that a tensor left out or
put in the wrong place shows. The residual streams of the vision encoder and of the language model
are kept near 0.1, where an epsilon of 1e-5 can be told from one of 1e-6.

    python tests/small_family.py MODEL FOLDER    # writes a checkpoint that the worker can serve
"""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from minigpt4.checkpoints.embedded import MANIFEST, digest
from minigpt4.config import MiniGPT4Config
from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.models import FAMILY

SIDE, PATCH, WIDTH = 56, 14, 64  # 16 patches and the class token
VOCABULARY = 1000
TEXT = {  # hidden, MLP, heads, rows; heads of 32 because the engine's CPU attention has no smaller
    "vicuna-7b": (64, 168, 2, VOCABULARY),
    "vicuna-13b": (96, 250, 3, VOCABULARY + 1),  # the padding row of the real one
    "llama2-7b": (64, 172, 2, VOCABULARY),
}
WORDS = """
    the of and to in is that it for was on are as with his they at be this have from or one had by
    word but not what all were we when your can said there use an each which she do how their if
    will up other about out many then them these so some her would make like him into time has look
    two more write go see number no way could people my than first water been call who its now find
    long down day did get come made may part Describe image detail Take a picture Human Assistant
    INST Img provide detailed description Could contents me describe notice you Please
"""
TABLES = ("class_embedding", "position_embedding", "query_tokens", "embed_tokens.weight")
LETTERS = "etaoinshrdlcumwf"


def tokenizer() -> Tokenizer:
    """LLaMA's kind with 1,000 entries: byte fallback, a dummy prefix, `▁###` or `##` and `#`."""
    vocabulary = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    vocabulary += [chr(code) for code in range(33, 127)]
    merges: dict[tuple[str, str], None] = {}  # ordered: the place is the rank
    words = WORDS.split()
    chains = ["##", *(f"▁{word}" for word in words), *words, "▁###"]
    chains += [a + b for a in LETTERS for b in LETTERS]
    for chain in chains:
        parts = ["▁", "##", "#"] if chain == "▁###" else list(chain)
        while len(parts) > 1 and len(vocabulary) < VOCABULARY:
            left, right, *rest = parts
            merges.setdefault((left, right))
            parts = [left + right, *rest]
            if parts[0] not in vocabulary:
                vocabulary.append(parts[0])
    out = Tokenizer(
        models.BPE(
            vocab={token: n for n, token in enumerate(vocabulary)},
            merges=list(merges),
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    out.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    out.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = [AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>")]
    out.add_special_tokens(special)
    return out


def small_config(name: str) -> MiniGPT4Config:
    """The configuration of a member of FAMILY with its own structure and small numbers."""
    family = FAMILY[name]
    hidden, mlp, heads, rows = TEXT[name]
    return MiniGPT4Config(
        vision_config={
            "tower": "eva-clip-g",
            "image_size": SIDE,
            "patch_size": PATCH,
            "hidden_size": WIDTH,
            "intermediate_size": 281,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
        },
        qformer_config={
            "hidden_size": 48,
            "intermediate_size": 100,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "encoder_hidden_size": WIDTH,
        }
        if family.qformer
        else None,
        text_config={
            "vocab_size": rows,
            "hidden_size": hidden,
            "intermediate_size": mlp,
            "num_hidden_layers": 3,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "head_dim": hidden // heads,
            "max_position_embeddings": family.language_model.context_length,
            "rms_norm_eps": family.language_model.rms_norm_eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": None,
            "dtype": "float32",
        },
        num_image_tokens=32 if family.qformer else (SIDE // PATCH) ** 2 // 4,
        image_token_id=0,
        tie_word_embeddings=False,
        architectures=["MiniGPT4ForConditionalGeneration"],
        dtype="float32",
    )


def scale(name: str) -> float:
    """The deviation of a weight matrix's outputs for inputs of deviation 1."""
    if name.endswith("query_tokens"):
        return 0.03  # a scale at which the Q-Former's 1e-12 differs from another epsilon
    if "embed" in name:
        return 0.1
    if ".vision." in name and name.endswith(("projection.weight", "fc2.weight")):
        return 0.1
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        return 0.2
    if "projection" in name:
        return 0.5
    if name.endswith(
        ("qkv.weight", "q_proj.weight", "k_proj.weight", "query.weight", "key.weight")
    ):
        return 1.7  # attention that chooses, instead of averaging the image away
    if name.endswith("lm_head.weight"):
        return 3.0
    return 1.0


def is_half(name: str) -> bool:
    """Whether the original file keeps this tensor in half precision: ViT's Conv and Linear."""
    return ".vision." in name and not any(
        part in name for part in ("norm", "class_embedding", "position_embedding", "qkv.bias")
    )


@torch.no_grad()
def small_model(name: str, seed: int = 0) -> MiniGPT4ForConditionalGeneration:
    """A member of FAMILY in float32, in eval mode; the same seed gives the same weights."""
    model = MiniGPT4ForConditionalGeneration(small_config(name)).eval()
    randomize(model, seed)
    head = model.get_output_embeddings().weight
    # <unk> stands for images and the padding row for nothing: neither is ever an answer.
    head[0] *= 0.01
    head[VOCABULARY:] *= 0.01
    return model


@torch.no_grad()
def randomize(model: MiniGPT4ForConditionalGeneration, seed: int) -> None:
    """Fills every tensor that a checkpoint holds, in the order of their names."""
    generator = torch.Generator().manual_seed(seed)
    qformer = model.config.qformer_config is not None
    for key, tensor in sorted(model.state_dict().items()):
        values = torch.randn(tensor.shape, generator=generator)
        if "norm" in key.lower():
            if "post_layernorm" in key and not qformer:  # that release never loads it
                values = torch.full_like(values, float(key.endswith("weight")))
            else:
                values = values.mul(0.3).add(float(key.endswith("weight")))
        elif key.endswith("bias"):
            values.mul_(0.3 * min(1.0, scale(key.removesuffix("bias") + "weight")))
        elif key.endswith(TABLES):
            values.mul_(scale(key))
        else:
            values.mul_(scale(key) / math.sqrt(values[0].numel()))
        if key.endswith("qkv.bias"):
            values.chunk(3)[1].zero_()  # keys have no bias
        tensor.copy_(values.half() if is_half(key) else values)


def save(name: str, folder: Path | str, seed: int = 0) -> Path:
    """Writes `small_model(name, seed)` as a checkpoint folder and returns it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = small_model(name, seed)
    model.config.save_pretrained(folder)
    weights = {
        key: (value.half() if is_half(key) else value).contiguous()
        for key, value in model.state_dict().items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer().save(str(folder / "tokenizer.json"))
    special = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": model.config.text_config.max_position_embeddings,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(special, indent=2) + "\n")
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")
    manifest = {"model": name, "digest": digest(folder)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return folder


if __name__ == "__main__":
    print(save(sys.argv[1], sys.argv[2]))
