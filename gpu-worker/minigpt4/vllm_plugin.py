"""MiniGPT-4 as an out-of-tree vLLM model; `register` is the entry point that vLLM calls.

The image encoder is the reference's own module, so both run the same code up to the image tokens;
then vLLM's language model takes over.
"""


def register() -> None:
    """Registers the `minigpt4` configuration and architecture, in each of vLLM's processes.

    It registers the class itself. For a class named by a string, vLLM imports it in a separate
    process first, which took 20 s at every start.
    """
    from vllm import ModelRegistry

    from .vllm_model import MiniGPT4ForVLLM  # this import registers the configuration too

    ModelRegistry.register_model("MiniGPT4ForConditionalGeneration", MiniGPT4ForVLLM)
