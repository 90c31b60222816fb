"""Renders pages in Chromium, by a small Node program (render_page.mjs)."""

import json
import subprocess
from pathlib import Path

PROGRAM = Path(__file__).with_name("render_page.mjs")
SECONDS = 60


class Browser:
    """Chromium at a path, driven by `playwright-core` from the repository's packages."""

    def __init__(self, chromium: str, node: str = "node"):
        self._command = [node, str(PROGRAM), chromium]

    def shows(self, source: str) -> bool:
        """Whether the page shows text or a visible picture, and no script throws.

        Raises OSError if Node does not run, and RuntimeError if Chromium does not.
        """
        if not source:
            return False
        done = subprocess.run(
            self._command, input=source.encode(), capture_output=True, timeout=SECONDS, check=False
        )
        if done.returncode:
            raise RuntimeError(f"Chromium did not start: {done.stderr.decode()[-300:].strip()}")
        seen = json.loads(done.stdout)
        return bool(seen["text"]) and seen["height"] > 0 and not seen["errors"]
