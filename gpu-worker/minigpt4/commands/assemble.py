"""`minigpt4-worker assemble`: a checkpoint folder from its parts."""

import argparse
from pathlib import Path


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    make = commands.add_parser("assemble", help="write a checkpoint folder from its parts")
    make.add_argument("model", choices=("nano",))
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    make.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    from ..checkpoints.nano import assemble

    print(assemble(given.out))
