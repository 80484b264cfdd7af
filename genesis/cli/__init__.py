"""The command ``genesis``: shows and tunes the devices, trains the models of the recipes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import genesis

from . import devices, doctor, train, tune

INTERRUPTED = 130             # the exit status a shell gives to what Ctrl-C ended


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="genesis", description="Train neural networks on any device with an OpenCL driver.")
    parser.add_argument("--version", action="version", version=f"genesis {genesis.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    devices.add_parser(commands)
    doctor.add_parser(commands)
    train.add_parser(commands)
    tune.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status.

    Args:
        argv: the arguments after the program's name; those of this process if None.

    Returns:
        0 when all went well; 1 when ``genesis devices`` finds none or ``genesis doctor`` something wrong; 2 for an
        error of the user's or the machine's, said on standard error; 130 after Ctrl-C. With
        ``GENESIS_TRACEBACK=1`` errors are raised instead.
    """
    arguments = make_parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:       # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (genesis.GenesisError, ValueError, OSError) as error:
        if os.environ.get("GENESIS_TRACEBACK", "0") not in ("", "0"):
            raise
        print(f"genesis: error: {explain(error)}", file=sys.stderr)
        return 2
    return status


def explain(error: BaseException) -> str:
    """What an error says, in one line; a compiler's log and the lists of devices keep theirs."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    if isinstance(error, genesis.KernelError | genesis.NoDeviceError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines()]
    text = ""
    for line in filter(None, lines):
        text += ("" if not text else " " if text.endswith(":") else "; ") + line
    return text or type(error).__name__
