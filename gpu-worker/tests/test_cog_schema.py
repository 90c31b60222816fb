"""Replicate's files agree with each other and with the code. What they do: engine/test_cog.py."""

import importlib.metadata
import json
import sys
import tomllib
from pathlib import Path

import yaml
from cog import _inspector

from minigpt4.models import CONTEXT_LENGTH, MODELS

FOLDER = Path(__file__).parents[1]
SCHEMA = json.loads((FOLDER / "tests" / "cog_schema.json").read_text())["components"]["schemas"]
CONFIG = yaml.safe_load((FOLDER / "cog.yaml").read_text())
LIMITS = {"ge": "minimum", "le": "maximum", "min_length": "minLength", "max_length": "maxLength"}


def test_the_schema_that_tests_serve_is_the_one_of_the_runner(monkeypatch):
    """It was made by Cog's own generator, in Go, which no package registry here carries."""
    monkeypatch.syspath_prepend(FOLDER)
    runner = _inspector.create_predictor("predict", "Runner")
    fields = SCHEMA["Input"]["properties"]
    assert sorted(fields, key=lambda name: fields[name]["x-order"]) == list(runner.inputs)
    assert SCHEMA["Input"]["required"] == ["image"]
    for name, given in runner.inputs.items():
        assert fields[name]["description"] == given.description
        assert fields[name].get("default") == given.default
        for ours, theirs in LIMITS.items():
            assert fields[name].get(theirs) == getattr(given, ours)
    assert fields["max_tokens"]["maximum"] == max(CONTEXT_LENGTH.values())
    assert SCHEMA["Output"]["x-cog-array-display"] == "concatenate"
    assert sys.modules.pop("predict").Runner


def test_cog_builds_with_the_versions_that_are_tested():
    assert CONFIG["build"]["sdk_version"] == importlib.metadata.version("cog")
    version = ".".join(map(str, sys.version_info[:2]))
    assert CONFIG["build"]["python_version"] == version
    locked = tomllib.loads((FOLDER / "uv.lock").read_text())["package"]
    (cuda,) = (one["version"] for one in locked if one["name"] == "nvidia-cuda-runtime")
    assert cuda.startswith(CONFIG["build"]["cuda"] + ".")


def test_the_configured_runner_and_model_exist():
    file, name = CONFIG["run"].split(":")
    assert f"class {name}(" in (FOLDER / file).read_text()
    told = dict(entry.split("=") for entry in CONFIG["environment"])
    assert told["MINIGPT4_MODEL"] in MODELS
