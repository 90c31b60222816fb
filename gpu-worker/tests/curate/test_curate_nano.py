"""The whole way with a real model: nano sees, and its language model alone edits and writes."""

import json
import os
from pathlib import Path
from unittest.mock import patch

import pytest
from curate_servers import lines, shard

from minigpt4.cli import main

CAT = (
    "A cat with stripes looks at the camera .",
    "A tabby cat is looking into the camera .",
    "A close up of a striped cat .",
)


@pytest.mark.skipif(
    not os.environ.get("MINIGPT4_WORKER_URL"), reason="no worker is given by MINIGPT4_WORKER_URL"
)
def test_nano_describes_continues_and_edits_and_is_not_asked_again(tmp_path, samples):
    photo = (samples / "cat.jpg").read_bytes()
    data = shard(tmp_path / "00000.tar", {}, {"cat.jpg": photo, "cat.txt": "\n".join(CAT).encode()})
    out: Path = tmp_path / "out"
    arguments = ["curate", "--data", str(data), "--out", str(out), "--yes"]
    arguments += ["--url", os.environ["MINIGPT4_WORKER_URL"], "--kinds", "described,poem"]
    for _ in range(2):
        with pytest.raises(SystemExit) as left, patch.dict(os.environ, {"NO_COLOR": "1"}):
            main(arguments)
        assert left.value.code == 0
        log = lines(out / "work.jsonl")
        steps = [row["step"] for row in log if row["kind"] == "described"]
        # Once, although the command ran twice.
        assert sorted(steps) in (["continue", "describe", "edit"], ["describe", "edit"])
        assert [row["step"] for row in log if row["kind"] == "poem"] == ["answer"]
    described = next(row for row in log if row["step"] == "describe")
    assert described["text"].strip() and described["output_tokens"] > 0
    told = json.loads((out / "report.json").read_text())
    assert told["models"]["described_by"]["model"] == "nano"
    assert told["kinds"]["described"]["made"] == told["kinds"]["poem"]["made"] == 1
