"""The command `minigpt4-worker`. Each subcommand imports heavy modules only when it runs."""

import argparse

from .commands import assemble, curate, evaluate, serve, synth, train


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="minigpt4-worker", description="MiniGPT-4 on vLLM.")
    commands = root.add_subparsers(dest="command", required=True)
    for command in (assemble, synth, serve, train, curate, evaluate):
        command.add(commands)
    return root


def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    args.run(args)


if __name__ == "__main__":
    main()
