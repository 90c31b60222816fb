"""No image can be built here (no daemon), so what it is built from is checked piece by piece."""

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from minigpt4.cli import parser

FOLDER = Path(__file__).parents[1]
TEXT = (FOLDER / "Dockerfile").read_text()
# Comments away, continued lines joined: (instruction, the rest)
STEPS = [
    tuple(line.split(maxsplit=1))
    for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", TEXT)).splitlines()
    if line.strip()
]


def steps(instruction: str) -> list[str]:
    return [rest for name, rest in STEPS if name == instruction]


def last(instruction: str) -> list[str]:
    """The JSON form of an instruction of the final image."""
    return json.loads(steps(instruction)[-1].removeprefix("CMD "))


def test_the_linter_has_nothing_to_say():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_images_come_by_exact_version_and_cuda_is_the_one_of_the_lock():
    stages = {rest.split(" AS ")[1] for rest in steps("FROM") if " AS " in rest}
    outside = [rest.split()[0] for rest in steps("FROM") if rest.split()[0] not in stages]
    outside = [image for image in outside if "$" not in image]
    assert len(outside) == 2
    for image in outside:
        assert re.search(r":\d+\.\d+\.\d+", image), image
    locked = tomllib.loads((FOLDER / "uv.lock").read_text())["package"]
    (cuda,) = (one["version"] for one in locked if one["name"] == "nvidia-cuda-runtime")
    (base,) = (image for image in outside if "cuda" in image)
    assert base.split(":")[1].startswith(".".join(cuda.split(".")[:2]) + ".")
    assert {f"weights-{kind}" for kind in ("volume", "baked")} <= stages


def test_copied_files_exist_and_are_in_the_build_context():
    wanted = [
        source
        for rest in steps("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert wanted == ["pyproject.toml", "uv.lock", "minigpt4", "models"]
    rules = (FOLDER / ".dockerignore").read_text().split("\n")
    assert rules[0] == "*"
    for source in wanted:
        assert f"!{source}" in rules
        assert source == "models" or (FOLDER / source).exists()
    for private in (".venv", ".hypothesis", "tests", "weights"):
        kept = [rule for rule in rules if rule.startswith("!") and fnmatch(private, rule[1:])]
        assert not kept


def test_it_does_not_run_as_root_and_its_stop_signal_drains_it():
    assert [int(user) > 0 for user in steps("USER")] == [True]
    assert STEPS.index(("USER", steps("USER")[0])) < STEPS.index(
        ("ENTRYPOINT", steps("ENTRYPOINT")[0])
    )
    assert steps("STOPSIGNAL") == ["SIGTERM"]
    assert not [rest for rest in steps("ENV") + steps("ARG") if "KEY" in rest]


def test_its_entry_point_is_the_command_with_options_that_it_knows():
    command, *arguments = last("ENTRYPOINT")
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    assert project["scripts"][command] == "minigpt4.cli:main"
    given = parser().parse_args([*arguments, *last("CMD")])
    assert (given.command, given.host) == ("serve", "0.0.0.0")
    assert steps("EXPOSE") == [str(given.port)]


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (None, False)])
def test_its_health_check_distinguishes_a_worker_that_answers(status, healthy):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_port
    if status is None:
        server.server_close()
    else:
        Thread(target=server.serve_forever, daemon=True).start()
    options, check = steps("HEALTHCHECK")[0].split("CMD", 1)
    assert "--timeout=5s" in options
    python, *rest = json.loads(check)
    command = [sys.executable, *(part.replace(":8000/", f":{port}/") for part in rest)]
    assert python == "python"
    try:
        done = subprocess.run(command, capture_output=True, timeout=10)
    finally:
        if status is not None:
            server.shutdown()
            server.server_close()
    assert (done.returncode == 0) == healthy
    assert asked == ([] if status is None else ["/healthz"])
