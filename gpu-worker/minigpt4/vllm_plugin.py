"""MiniGPT-4 as an out-of-tree vLLM model; `register` is the entry point that vLLM calls.

The image encoder is the reference's own module, so both stacks run one code path up to the image
tokens; from there on vLLM's language model takes over.
"""


def register() -> None:
    """Make vLLM know the `minigpt4` configuration and architecture, in each of its processes.

    The class is registered as such: named by a string, vLLM would import it in a process of its
    own to look at it, which took 20 s at every start.
    """
    from vllm import ModelRegistry

    from .vllm_model import MiniGPT4ForVLLM  # registers the configuration too

    ModelRegistry.register_model("MiniGPT4ForConditionalGeneration", MiniGPT4ForVLLM)
