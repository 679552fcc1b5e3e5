"""Finds the command that a word of the command line names, and runs it."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from types import ModuleType
from typing import NoReturn

from mattingjax.errors import one_line

_HELP = ('help', '-h', '-?', '-help', '--help', '-helpshort', '--helpshort', '--helpfull')


def dispatch(package: ModuleType) -> NoReturn:
    """Runs the command that the first word names, with the rest of the command line.

    Nothing else is imported before, so that --help and a wrong word are answered at once.

    Args:
      package: Its docstring is what --help shows. Its `COMMANDS` has the name of each command with
        a line about it; the command is the module of that name in the package, or a package of
        commands of its own.
    """
    program, commands = sys.argv[0], package.COMMANDS
    word = sys.argv[1] if len(sys.argv) > 1 else ''
    if word in _HELP:
        show(_describe(package))
    if word not in commands:
        print(one_line(f'error: {_explain(word, program, commands)}'), file=sys.stderr)
        sys.exit(2)
    sys.argv[:2] = [f'{program} {word}']
    command = importlib.import_module(f'{package.__name__}.{word.replace("-", "_")}')
    if hasattr(command, 'COMMANDS'):
        dispatch(command)
    from mattingjax.process import command_line

    command_line.run(command)


def show(text: str) -> NoReturn:
    """Prints a text and ends the program, as a command would that prints it."""
    try:
        print(text, flush=True)
    except OSError as error:
        # Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader of our output has left
            sys.exit(1)
        print(f'error: {error.strerror}', file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


def _describe(package: ModuleType) -> str:
    """The docstring of the package, and a line for each of its commands."""
    width = max(map(len, package.COMMANDS))
    lines = [f'  {name:{width}}  {text}' for name, text in package.COMMANDS.items()]
    return '\n'.join([(package.__doc__ or '').strip(), '', *lines])


def _explain(word: str, program: str, commands: dict[str, str]) -> str:
    """What was expected in the place of a word."""
    *most, last = commands
    close = difflib.get_close_matches(word, commands, 1)
    hint = f'did you mean {close[0]}? ' if close else ''
    if not close and 'predict' in commands and os.path.exists(word):
        hint = f'did you mean predict {word}? '
    return (
        f'expected {", ".join(most)} or {last} as the first argument, got '
        f'{repr(word) if word else "nothing"} ({hint}see {program} --help)'
    )
