"""What a generation writes while its engine is silent."""

import asyncio
from types import SimpleNamespace

import llama_vocabulary

from minigpt4 import generation
from minigpt4.detokenize import Vocabulary
from minigpt4.protocol import Sampling
from minigpt4.serve import Prepared


def test_no_event_block_is_without_data(tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "PING_SECONDS", 0.01)
    written: list[str] = []

    async def generate(*_):
        for reason in (None, "length"):
            seen = "".join(written).count(": ping")
            while "".join(written).count(": ping") < seen + 3:
                await asyncio.sleep(0.005)
            yield SimpleNamespace(token_ids=[319], finish_reason=reason)

    async def send(message):
        written.append(message.get("body", b"").decode())

    async def run():
        prompt = SimpleNamespace(stop_text=None, stop_ids=[2], control_ids={2})
        vocabulary = Vocabulary(llama_vocabulary.write_tokenizer(tmp_path))
        worker = SimpleNamespace(
            model=SimpleNamespace(vocabulary=vocabulary, prompt=prompt),
            engine=SimpleNamespace(generate=generate),
        )
        wanted = SimpleNamespace(committed_token_ids=[], cache_salt=None)
        never = asyncio.get_running_loop().create_future()
        prepared = Prepared([1], 1, 0, Sampling(2, 0.0, 1.0, 1.0, None))
        answer = generation.Generation(worker, wanted, prepared)
        await answer._stream(prepared, [], send, never, never, {})

    asyncio.run(run())
    *blocks, rest = "".join(written).split("\n\n")
    assert rest == ""
    assert [block.count("\ndata: ") for block in blocks] == [1] * 4
    assert [block.split("event: ")[1].split("\n")[0] for block in blocks] == [
        "prompt",
        "token",
        "token",
        "done",
    ]
    assert blocks[1].startswith(": ping\n: ping\n: ping\nevent: token\n")
