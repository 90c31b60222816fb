"""The tensors of each original file: their shapes, and their names in a checkpoint.

Everything is derived from Dimensions. The names are those of LAVIS and MiniGPT-4 on one side, of
transformers' BLIP-2 (its conversion script) and Llama on the other.
"""

import re
from collections.abc import Mapping

from ..models import LanguageModel
from .dimensions import QFormer, Vision

Shape = tuple[int, ...]

# Tensors in the files that are not needed and known to be harmless.
EVA_STRAYS = r"(norm|fc_norm|head)\.(weight|bias)"
QFORMER_STRAYS = r"t5_proj\.(weight|bias)|Qformer\.bert\.embeddings\.position_ids"
BLIP2_STRAYS = r"language_(model|projection)\..*|(vision_model|qformer)\.embeddings\.position_ids"
PROJECTOR_STRAYS = r".*\.rotary_emb\.inv_freq|Qformer\.bert\.embeddings\.position_ids"
LLAMA_STRAYS = r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq"

# Tensors of BLIP-2's other trainings and of InstructBLIP: same queries, other weights.
OTHER_QFORMERS = {
    r"Qformer\.(cls|bert\.embeddings\.(word|position)_embeddings)\..*": "its text branch",
    r"Qformer\.bert\.encoder\.layer\.\d+\.(intermediate|output)\..*": "its text branch",
    r"(opt|llm|vision|text|itm|vicuna)_(proj|head)\..*": "a head for something else",
    r"visual_encoder\..*": "a vision encoder of its own",
}


def both(name: str, rows: int, columns: int) -> dict[str, Shape]:
    """A linear layer's weight and bias."""
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def eva_block(vision: Vision, block: int) -> dict[str, Shape]:
    width, at = vision.width, f"blocks.{block}"
    return (
        norm(f"{at}.norm1", width)
        | {
            f"{at}.attn.qkv.weight": (3 * width, width),
            f"{at}.attn.q_bias": (width,),
            f"{at}.attn.v_bias": (width,),
        }
        | both(f"{at}.attn.proj", width, width)
        | norm(f"{at}.norm2", width)
        | both(f"{at}.mlp.fc1", vision.mlp, width)
        | both(f"{at}.mlp.fc2", width, vision.mlp)
    )


def eva(vision: Vision) -> dict[str, Shape]:
    """The used part of eva_vit_g.pth: without the last block, final norm and head."""
    out: dict[str, Shape] = {
        "cls_token": (1, 1, vision.width),
        "pos_embed": (1, vision.positions, vision.width),
        "patch_embed.proj.weight": (vision.width, 3, vision.patch, vision.patch),
        "patch_embed.proj.bias": (vision.width,),
    }
    for block in range(vision.blocks):
        out |= eva_block(vision, block)
    return out


def eva_strays(vision: Vision) -> str:
    return rf"{EVA_STRAYS}|blocks\.{vision.blocks}\..*"


def _qformer_layers(qformer: QFormer, vision_width: int, root: str, inner: str) -> dict[str, Shape]:
    width, out = qformer.width, {}
    for layer in range(qformer.layers):
        at = f"{root}encoder.layer.{layer}"
        kinds = {"attention": width}
        if layer % qformer.cross_every == 0:
            kinds["crossattention"] = vision_width
        for kind, reads in kinds.items():
            out |= both(f"{at}.{kind}.{inner}.query", width, width)
            out |= both(f"{at}.{kind}.{inner}.key", width, reads)
            out |= both(f"{at}.{kind}.{inner}.value", width, reads)
            out |= both(f"{at}.{kind}.output.dense", width, width)
            out |= norm(f"{at}.{kind}.output.LayerNorm", width)
        out |= both(f"{at}.intermediate_query.dense", qformer.mlp, width)
        out |= both(f"{at}.output_query.dense", width, qformer.mlp)
        out |= norm(f"{at}.output_query.LayerNorm", width)
    return out


def lavis_qformer(qformer: QFormer, vision_width: int) -> dict[str, Shape]:
    """The used part of `model` in blip2_pretrained_flant5xxl.pth."""
    return (
        {"query_tokens": (1, qformer.queries, qformer.width)}
        | norm("ln_vision", vision_width)
        | norm("Qformer.bert.embeddings.LayerNorm", qformer.width)
        | _qformer_layers(qformer, vision_width, "Qformer.bert.", "self")
    )


def blip2_vision(vision: Vision) -> dict[str, Shape]:
    """The tensors below `vision_model.` of Hugging Face's BLIP-2, with the last norm."""
    width = vision.width
    out: dict[str, Shape] = {
        "embeddings.class_embedding": (1, 1, width),
        "embeddings.position_embedding": (1, vision.positions, width),
        "embeddings.patch_embedding.weight": (width, 3, vision.patch, vision.patch),
        "embeddings.patch_embedding.bias": (width,),
    }
    for block in range(vision.blocks):
        at = f"encoder.layers.{block}"
        out |= norm(f"{at}.layer_norm1", width)
        out |= both(f"{at}.self_attn.qkv", 3 * width, width)
        out |= both(f"{at}.self_attn.projection", width, width)
        out |= norm(f"{at}.layer_norm2", width)
        out |= both(f"{at}.mlp.fc1", vision.mlp, width)
        out |= both(f"{at}.mlp.fc2", width, vision.mlp)
    return out | norm("post_layernorm", width)


def blip2_qformer(qformer: QFormer, vision_width: int) -> dict[str, Shape]:
    """The tensors below `qformer.` of Hugging Face's BLIP-2 (its queries are elsewhere)."""
    return norm("layernorm", qformer.width) | _qformer_layers(
        qformer, vision_width, "", "attention"
    )


def is_matrix(name: str) -> bool:
    """Whether a tensor of the vision encoder is of a Conv or Linear layer, and so float16."""
    return bool(re.search(r"(patch_embedding|qkv|projection|fc1|fc2)\.(weight|bias)$", name))


def eva_name(name: str) -> tuple[str, ...]:
    """The names in eva_vit_g.pth of a tensor below `vision_model.`.

    The bias of `qkv` consists of q_bias, zeros for the keys, and v_bias.
    """
    whole = {
        "embeddings.class_embedding": "cls_token",
        "embeddings.position_embedding": "pos_embed",
    }
    if name in whole:
        return (whole[name],)
    if found := re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.qkv\.bias", name):
        return (f"blocks.{found[1]}.attn.q_bias", f"blocks.{found[1]}.attn.v_bias")
    for new, old in (
        ("embeddings.patch_embedding.", "patch_embed.proj."),
        ("post_layernorm.", "ln_vision."),
        ("encoder.layers.", "blocks."),
        (".layer_norm", ".norm"),
        (".self_attn.projection.", ".attn.proj."),
        (".self_attn.", ".attn."),
    ):
        name = name.replace(new, old)
    return (name,)


def lavis_name(name: str) -> str:
    """The name in blip2_pretrained_flant5xxl.pth of a tensor below `qformer.`."""
    if name.startswith("layernorm."):
        return name.replace("layernorm", "Qformer.bert.embeddings.LayerNorm")
    return "Qformer.bert." + re.sub(r"(attention)\.attention\.", r"\1.self.", name)


LINEARS: Mapping[str, tuple[str, str]] = {
    "self_attn.q_proj": ("hidden", "hidden"),
    "self_attn.k_proj": ("hidden", "hidden"),
    "self_attn.v_proj": ("hidden", "hidden"),
    "self_attn.o_proj": ("hidden", "hidden"),
    "mlp.gate_proj": ("mlp", "hidden"),
    "mlp.up_proj": ("mlp", "hidden"),
    "mlp.down_proj": ("hidden", "mlp"),
}


def llama_linears(words: LanguageModel) -> dict[str, Shape]:
    """The layers that a quantised model stores in another format."""
    size = {"hidden": words.hidden_size, "mlp": words.intermediate_size}
    return {
        f"model.layers.{layer}.{name}": (size[rows], size[columns])
        for layer in range(words.layers)
        for name, (rows, columns) in LINEARS.items()
    }


def llama(words: LanguageModel, vocab_size: int) -> dict[str, Shape]:
    """A Llama language model without biases, its two embeddings untied."""
    width = words.hidden_size
    out: dict[str, Shape] = {"model.embed_tokens.weight": (vocab_size, width)}
    out |= {f"{name}.weight": shape for name, shape in llama_linears(words).items()}
    for layer in range(words.layers):
        out[f"model.layers.{layer}.input_layernorm.weight"] = (width,)
        out[f"model.layers.{layer}.post_attention_layernorm.weight"] = (width,)
    return out | {"model.norm.weight": (width,), "lm_head.weight": (vocab_size, width)}
