"""The command `minigpt4-worker`. Imports nothing heavy before it knows what is wanted."""

import argparse

from .commands import assemble, curate, evaluate, serve, synth, train


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="minigpt4-worker", description="MiniGPT-4 on vLLM.")
    commands = root.add_subparsers(dest="command", required=True)
    for command in (assemble, synth, serve, train, curate, evaluate):
        command.add(commands)
    return root


def main(arguments: list[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    given.run(given)


if __name__ == "__main__":
    main()
