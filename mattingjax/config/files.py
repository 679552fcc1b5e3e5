"""The flag --config: which file it means, what is in it, and what --config.NAME=VALUE may change.

A config file is a program of its user; an error in it is reported in one line, with the number of
the line in the file.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from mattingjax.errors import MattingError

flags.disclaim_key_flags()  # --config is listed in the --help of who asks for it
_FOLDER = 'configs'
# Where that folder is: beside the package in a clone, and inside of it where a wheel is installed,
# whose neighbours are strangers.
_PACKAGE, _CLONE = Path(__file__).resolve().parents[1:3]
_HOME = _PACKAGE if (_PACKAGE / _FOLDER).is_dir() else _CLONE


def define_config(help_text: str) -> flags.FlagHolder[ConfigDict | None]:
    """Defines --config FILE[:WORD], whose settings --config.NAME=VALUE changes.

    FILE is a path; if nothing lies there, a path in this project ('configs/mmnet.py'), or the name
    of a file in its folder configs ('mmnet'). WORD is passed to the file's `get_config`.

    Args:
      help_text: What --help says of the flag.

    Returns:
      The holder of the settings, None if the flag is not given.
    """
    holder = config_flags.DEFINE_config_file('config', None, help_text)
    flags.FLAGS['config'].parser = _Parser()
    return holder


class _Parser(flags.ArgumentParser):
    """Turns the flag's value into settings; raises MattingError."""

    def parse(self, argument: str) -> ConfigDict:
        config = load_config_file(argument)
        for path in _changed(sys.argv[1:]):
            check_setting(config, path)
        return config.lock()

    def flag_type(self) -> str:
        return 'config file'


def load_config_file(argument: str) -> ConfigDict:
    """What `get_config` of a config file returns.

    Args:
      argument: FILE or FILE:WORD, as `define_config` describes them.

    Raises:
      MattingError: There is no such file, it raises an error, or it returns no settings.
    """
    path, *words = _find_file(argument)
    module = types.ModuleType('config_file')
    module.__file__ = path
    sys.modules[module.__name__] = module  # where dataclasses look for what they are made of
    try:
        with open(path, 'rb') as file:
            exec(compile(file.read(), path, 'exec'), module.__dict__)
        if not callable(getattr(module, 'get_config', None)):
            raise MattingError('expected a function get_config, found none')
        _check_words(module.get_config, words)
        config = module.get_config(*words)
    except OSError as error:
        if error.filename != path:
            raise MattingError(_describe(error, path)) from error
        raise MattingError(f'{path}: cannot be read ({error.strerror})') from error
    except (Exception, SystemExit) as error:
        raise MattingError(_describe(error, path)) from error
    if not isinstance(config, ConfigDict):
        raise MattingError(
            f'{path}: expected a ConfigDict from get_config, got {type(config).__name__}'
        )
    return config


def _check_words(get_config: Callable[..., Any], words: list[str]) -> None:
    """Raises MattingError unless the function of a config file takes what follows its name."""
    try:
        inspect.signature(get_config).bind(*words)
    except TypeError as error:
        if words:
            raise MattingError(f'its get_config takes no word, got {words[0]!r}') from error
        raise MattingError('expected FILE:WORD, as its get_config takes a word') from error


def _find_file(argument: str) -> list[str]:
    """The path of a config file and the word for its `get_config`, if there is one."""
    name, *words = argument.split(':', 1)
    for path, rest in ((argument, []), (name, words)):
        places = [path]
        if not os.path.isabs(path):
            places += [str(_HOME / path), str(_HOME / _FOLDER / f'{path}.py')]
        for place in places:
            if os.path.isfile(place):
                return [place, *rest]
    known = sorted(path.stem for path in (_HOME / _FOLDER).glob('*.py'))
    stem = os.path.basename(name).removesuffix('.py')
    raise MattingError(f'config: {name}: not a file; {suggest(stem, known)}')


def _describe(error: BaseException, path: str) -> str:
    """One line about an error in a config file: the line of the file, and the error."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == path
    ]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines.append(error.lineno)
        return f'{path}:{error.lineno}: {type(error).__name__}: {error.msg}'
    where = f'{path}:{lines[-1]}' if lines else path
    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    # What get_config itself says of its word needs no more.
    kind = '' if isinstance(error, ValueError) and said else f'{type(error).__name__}: '
    return f'{where}: {kind}{said}'.removesuffix(': ')


def _changed(arguments: Iterable[str]) -> Iterator[str]:
    """Paths of the settings that the command line changes."""
    for argument in arguments:
        if found := re.match(r'--?(?:no)?config\.([^=]*)', argument):
            yield found[1]


def check_setting(config: ConfigDict, path: str) -> None:
    """Raises MattingError, which lists the settings that exist, if there is none of this path.

    Args:
      config: All settings.
      path: Names of sections and of the setting, with dots between them.
    """
    if '' in path.split('.'):
        raise MattingError(f'config.{path}: expected config.NAME=VALUE')
    section: Any = config
    for i, name in enumerate(path.split('.')):
        # A dictionary's keys may also be written NAME['KEY']; those are ml_collections' affair.
        if '[' in name:
            return
        if not isinstance(section, ConfigDict):
            raise MattingError(f'config.{path}: {".".join(path.split(".")[:i])} holds a value')
        if name not in section:
            where = '.'.join(['config', *path.split('.')[:i]])
            raise MattingError(f'config.{path}: no {name} in {where}; {suggest(name, section)}')
        section = section[name]


def suggest(name: str, known: Iterable[str]) -> str:
    """A part of a message about an unknown name: the name that was meant, and those that exist.

    Args:
      name: The unknown name.
      known: The names that exist.
    """
    known = list(known)
    if not known:
        return 'there are none'
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5) or [
        other for other in known if _initials(other) == name
    ]
    return (f'did you mean {close[0]}? ' if close else '') + f'there are {", ".join(known)}'


def _initials(name: str) -> str:
    return ''.join(part[:1] for part in name.split('_'))
