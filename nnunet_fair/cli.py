"""The command ``nnunet_fair``: parses, hands over to one command, prints its mistake in one sentence."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import sys
from collections.abc import Mapping

from nnunet_fair import __version__
from nnunet_fair.errors import UserError, file_sentence
from nnunet_fair.processes import Ended, signals_interrupt

COMMANDS = (
    "synth",
    "convert",
    "metadata",
    "audit",
    "plans",
    "check-evidence",
    "predict",
    "postprocess",
    "evaluate",
    "compare",
    "features",
    "hidden-groups",
    "view",
    "pcr",
    "export",
    "demo",
    "env",
    "doctor",
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``nnunet_fair`` with one sub-parser a command (``nnunet_fair/commands/<name>.py``)."""
    parser = argparse.ArgumentParser(
        prog="nnunet_fair",
        description="Fair medical image segmentation with nnU-Net v2: find the patient subgroups a model serves worse, "
        "train to lift them, and measure whether it worked.",
    )
    parser.add_argument("--version", action="version", version=f"nnunet_fair {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"nnunet_fair.commands.{name.replace('-', '_')}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run, options=_options(command) | getattr(module, "OPTIONS", {}))
    return parser


def _options(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The option behind each argument of a command and of its actions, the longest spelling of it."""
    found: dict[str, str] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                found |= _options(inner)
        elif action.option_strings:
            found[action.dest] = max(action.option_strings, key=len)
    return found


def name_options(message: str, options: Mapping[str, str]) -> str:
    """A message of the library with the command's options in place of its arguments.

    Args:
        message: names arguments in backticks, see :class:`~nnunet_fair.errors.UserError`.
        options: the option for each argument's name; a name that has none stays as it is.

    Returns:
        The message for a user of the command line.
    """
    return re.sub(r"`([a-z][a-z_]*)`", lambda match: options.get(match[1], match[0]), message)


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; those of the process when None.

    Returns:
        The exit status: 0 done, 1 a mistake the user can mend or something skipped, 2 wrong arguments, 128 and the
        signal's number where a signal ended it (130 Ctrl-C, 143 SIGTERM).
    """
    args = build_parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        with signals_interrupt():
            status = args.run(args) or 0
            sys.stdout.flush()
            return status
    except UserError as error:
        return _say(args, name_options(str(error), args.options), 1)
    except BrokenPipeError:
        # Whoever read the output is gone (| head): what would still be printed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except OSError as error:
        return _say(args, file_sentence(error), 1)
    except MemoryError:
        return _say(args, "memory ran out; use fewer processes, or a machine with more memory", 1)
    except Ended as ended:
        return _say(args, f"ended by {ended}", 128 + ended.number)
    except KeyboardInterrupt:
        return _say(args, "interrupted", 130)


def _say(args: argparse.Namespace, sentence: str, status: int) -> int:
    """Print a sentence about the command; the status handed in."""
    print(f"nnunet_fair {args.command}: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
