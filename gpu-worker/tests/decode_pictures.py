"""What the worker makes of files: `python tests/decode_pictures.py FOLDER`.

Beside each file a `.rgb` with its pixels; `decoded.json` has each one's size, or its refusal.
"""

import json
import sys
from pathlib import Path

from minigpt4.decoding import Limits, Undecodable, decode


def main(folder: Path) -> None:
    decoded: dict[str, list[int] | str] = {}
    for file in sorted(folder.iterdir()):
        try:
            picture = decode(file.read_bytes(), Limits())
        except Undecodable as error:
            decoded[file.name] = str(error)
            continue
        decoded[file.name] = list(picture.size)
        (folder / f"{file.name}.rgb").write_bytes(picture.tobytes())
    (folder / "decoded.json").write_text(json.dumps(decoded))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
