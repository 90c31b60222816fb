"""Facts about the models that this worker serves; quick to import.

Sizes and files are those of the official release: https://github.com/Vision-CAIR/MiniGPT-4 (model
zoo and configurations), the language models' own config.json, and the weight hosts' metadata.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LanguageModel:
    """What the config.json of the right language model has.

    `vocab_sizes` are the row counts of its releases (the 13B Vicuna has a padding row).
    """

    repository: str
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    rms_norm_eps: float
    context_length: int
    vocab_sizes: tuple[int, ...]


@dataclass(frozen=True)
class File:
    """A file of the original release, with its `sha256` and exact `bytes` if they are known."""

    name: str
    sha256: str | None
    url: str
    bytes: int | None = None
    about: str = ""  # the size as text, if the exact one is not known


@dataclass(frozen=True)
class Family:
    """A full-size model: the parts it is assembled from, and its prompt template."""

    template: str
    image_tokens: int
    qformer: bool
    language_model: LanguageModel
    projector: File

    @property
    def projection_width(self) -> int:
        """Columns of `llama_proj.weight`: the Q-Former's width, or four joined patches."""
        return 768 if self.qformer else 4 * 1408


EVA_VIT_G = File(
    "eva_vit_g.pth",
    None,
    "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2/eva_vit_g.pth",
    about="1.89 GiB",
)
BLIP2_QFORMER = File(
    "blip2_pretrained_flant5xxl.pth",
    "4b3839ea6c617f315ead9bf4036bbb0f0cf6bf62695ecfc14968ea626af03a29",
    "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2/"
    "blip2_pretrained_flant5xxl.pth",
    about="433 MB",
)

FAMILY = {
    "vicuna-7b": Family(
        template="vicuna",
        image_tokens=32,
        qformer=True,
        language_model=LanguageModel(
            "Vision-CAIR/vicuna-7b", 4096, 11008, 32, 32, 1e-6, 2048, (32000, 32001)
        ),
        projector=File(
            "prerained_minigpt4_7b.pth",  # the official name is misspelt
            "017a9ed588a11ed383711003cf50cf675191420a04689f682fb56fa9bbb8dcbb",
            "https://huggingface.co/wangrongsheng/MiniGPT4-7B/resolve/main/prerained_minigpt4_7b.pth",
            37_907_201,
        ),
    ),
    "vicuna-13b": Family(
        template="vicuna",
        image_tokens=32,
        qformer=True,
        language_model=LanguageModel(
            "Vision-CAIR/vicuna", 5120, 13824, 40, 40, 1e-6, 2048, (32000, 32001)
        ),
        projector=File(
            "pretrained_minigpt4.pth",
            "1e7b8a3c21f146654c21a1a29a577dab2c3bd1aa3b1bc902f39e86954357a811",
            "https://huggingface.co/Vision-CAIR/MiniGPT-4/resolve/main/pretrained_minigpt4.pth",
            47_369_169,
        ),
    ),
    "llama2-7b": Family(
        template="llama2",
        image_tokens=64,
        qformer=False,
        language_model=LanguageModel(
            "meta-llama/Llama-2-7b-chat-hf", 4096, 11008, 32, 32, 1e-5, 4096, (32000,)
        ),
        projector=File(
            "pretrained_minigpt4_llama2_7b.pth",
            "e2904bdc6ff4c95e5903d3c08cc0ad5b3f860be9cdbbd6fd05d99cd35b375096",
            "https://huggingface.co/juliozhao/pretrained_minigpt4_llama2_7b/resolve/main/"
            "pretrained_minigpt4_llama2_7b.pth",
            276_957_567,
        ),
    ),
}

# Assembled from parts of package registries; see checkpoints/embedded.py.
EMBEDDED = ("nano", "mini")
MODELS = (*EMBEDDED, *FAMILY)
READING_MODEL = (
    "mini"  # has a reader beside it by default; the others' prompts are their training's
)
CONTEXT_LENGTH = {"nano": 2048, "mini": 4096} | {
    name: family.language_model.context_length for name, family in FAMILY.items()
}
TEMPLATE = {name: "chatml" for name in EMBEDDED} | {
    name: family.template for name, family in FAMILY.items()
}
