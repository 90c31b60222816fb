"""A language model in 4-bit GPTQ or AWQ form, and the same numbers in full for the reference.

Both keep eight 4-bit values in an int32 and one scale per GROUP inputs and output:
`weight = (q - 8) * scale`. GPTQ (symmetric) packs along the inputs and stores zero points one less
than the value they mean; AWQ packs along the outputs, in an order of its own.
"""

import torch
from transformers import LlamaForCausalLM

GROUP = 32
CONFIG = {
    "gptq": {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": GROUP,
        "sym": True,
        "desc_act": False,
        "lm_head": False,
    },
    "awq": {
        "quant_method": "awq",
        "bits": 4,
        "group_size": GROUP,
        "zero_point": True,
        "version": "gemm",
        "modules_to_not_convert": ["lm_head"],
    },
}
KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ZERO = 8
SHIFTS = torch.arange(0, 32, 4)
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def pack(values: torch.Tensor) -> torch.Tensor:
    """[n, 8 m] of 0..15 -> int32 [n, m], the first of eight in the lowest bits."""
    packed = (values.unflatten(1, (-1, 8)).long() << SHIFTS).sum(dim=-1)
    return torch.where(packed >= 2**31, packed - 2**32, packed).int()


def pack_awq(values: torch.Tensor) -> torch.Tensor:
    return pack(values.unflatten(1, (-1, 8))[..., AWQ_ORDER].flatten(1))


def quantise(model: LlamaForCausalLM, method: str) -> dict[str, torch.Tensor]:
    """The state dict with every layer's matrices in the method's form; the model gets their values.

    Widths must be multiples of GROUP.
    """
    state = model.state_dict()
    for name, module in model.named_modules():
        if name.rsplit(".", 1)[-1] not in KINDS:
            continue
        weight = state.pop(f"{name}.weight").T  # [in, out]
        groups = weight.unflatten(0, (-1, GROUP))  # [groups, GROUP, out]
        scale = (groups.abs().amax(dim=1, keepdim=True) / 7).half().float()
        q = (groups / scale).round().clamp(-ZERO, ZERO - 1) + ZERO
        module.weight.data = ((q - ZERO) * scale).flatten(0, 1).T.contiguous()
        q, zeros = q.flatten(0, 1), torch.full((len(groups), weight.shape[1]), ZERO)
        if method == "gptq":
            state[f"{name}.qweight"] = pack(q.T).T.contiguous()  # [in / 8, out]
            state[f"{name}.qzeros"] = pack(zeros - 1)  # [groups, out / 8]
            state[f"{name}.g_idx"] = (torch.arange(len(weight)) // GROUP).int()
        else:
            state[f"{name}.qweight"] = pack_awq(q)  # [in, out / 8]
            state[f"{name}.qzeros"] = pack_awq(zeros)
        state[f"{name}.scales"] = scale[:, 0].half()  # [groups, out]
    return state
