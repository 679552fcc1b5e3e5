"""Messages in terms of a command's flags: wrong flags, and the library's errors about arguments."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import sys
from pathlib import Path

from absl import flags

_SETTING = r'config\.[\w.]*'  # the names of settings, which the flag --config brings


def own_flags() -> dict[str, flags.Flag]:
    """The flags that the command itself defines, by name; `command_line.run` tells absl which."""
    return {flag.name: flag for flag in flags.FLAGS.get_flags_for_module(sys.argv[0])}


def with_flags(message: str) -> str:
    """A message of the library, which names arguments, with the command's flags of those names.

    Arguments and settings stand at the beginning ('images, alphas: ...', 'config.steps: ...') or
    before their value ('overwrite=True').

    Args:
      message: One line.
    """
    own = own_flags()
    values = {*(str(flag.value) for flag in own.values()), *sys.argv[1:]}  # a path, perhaps
    if subject := re.match(r'[^\s:,]+(, [^\s:,]+)*(?=: )', message):
        names = subject[0].split(', ')
        known = [_flag_named(name, own) for name in names]
        if all(known) and not values.intersection(names):
            message = ', '.join(f'--{name}' for name in known) + message[subject.end() :]

    def flag_for(match: re.Match) -> str:
        name, value = match[1], match[2]
        if _is_setting(name, own):
            return f'--{name}={value}'
        if name not in own:
            return match[0]
        switch = {'True': f'--{name}', 'False': f'--no{name}'}
        return switch.get(value, f'--{name}={value}')

    return re.sub(r'(?<![^\s(])([\w.]+)=(\w+|\.{3})', flag_for, message)


def _flag_named(argument: str, own: dict[str, flags.Flag]) -> str | None:
    """The flag for an argument, which may name several things where the flag names one."""
    if _is_setting(argument, own):
        return argument
    names = (argument, f'{argument}s', argument.removesuffix('s'))
    return next((name for name in names if name in own), None)


def _is_setting(name: str, own: dict[str, flags.Flag]) -> bool:
    if not re.fullmatch(_SETTING, name) or 'config' not in own:
        return False
    # The relative path config.json looks like a setting. While flags are parsed they have no value.
    config = own['config'].value
    if config is None:
        return not flags.FLAGS.is_parsed()
    return name.split('.')[1] in ('', *config)


def explain_wrong_flags(error: flags.Error, arguments: list[str]) -> str:
    """A line about absl's error that says what was expected.

    Args:
      error: What absl raised when it parsed the command line.
      arguments: The command line, the script's name first.
    """
    return _explain_value(error) or _explain_name(str(error), arguments)


def _explain_value(error: flags.Error) -> str | None:
    """What a flag or setting takes, if the error is that it does not take its value."""
    flag = re.match('flag --([^=]+)=', str(error))
    if not flag or not isinstance(error.__context__, TypeError | ValueError | OverflowError):
        return None
    parser = flags.FLAGS[flag[1]].parser
    if 'as a ConfigDict' in str(error):
        expected = f'--{flag[1]}.NAME=VALUE'
    elif isinstance(parser, flags.EnumParser):
        expected = f'one of {", ".join(parser.enum_values)}'
    elif isinstance(parser, flags.BooleanParser):
        expected = 'true or false'
    else:
        words = parser.syntactic_help.replace('an integer', 'a whole number')
        expected = words.replace('integer', 'whole number')
    value = str(error)[flag.end() :].removesuffix(f': {error.__context__}')
    return f'--{flag[1]}: expected {expected}, got {value!r}' if expected else None


def _explain_name(said: str, arguments: list[str]) -> str:
    """What absl's complaint about a missing or unknown flag means."""
    if absent := re.search(r'--(\w+)=None: Flag --\w+ must have a value', said):
        extra = _extra_words(arguments)
        required = f'--{absent[1]}: a value is required (see --help)'
        return explain_extra(extra[0], arguments) if extra else required
    if unknown := re.match(r"Unknown command line flag '(.*?)'(?:\. Did you mean: (.*) \?)?", said):
        section, _, setting = unknown[1].partition('.')
        known = (unknown[2] or '').replace(', ', ' or --')
        if setting and 'config' in own_flags():
            if section == 'config':
                return f'--{unknown[1]}: a setting of a file, which --config names'
            if difflib.get_close_matches(section, ['config']):
                known = f'config.{setting}'
        hint = f'did you mean --{known}?' if known else 'see --help'
        return f'unknown flag --{unknown[1]} ({hint})'
    if early := re.match(r'Found (\S+) in argv before a value for --config', said):
        return f'{early[1].split("=")[0]}: expected after --config'
    return said


def _extra_words(arguments: list[str]) -> list[str]:
    """The words that belong to no flag."""
    extra, is_value = [], False
    for word in arguments[1:]:
        name = word.lstrip('-')
        if is_value:
            is_value = False
        elif word.startswith('-') and name:
            known = name if name in flags.FLAGS else name.removeprefix('no')
            # Flags that --undefok names need not exist: nothing is known of their values.
            is_value = '=' not in name and known in flags.FLAGS and not flags.FLAGS[known].boolean
        else:
            extra.append(word)
    return extra


def explain_extra(word: str, arguments: list[str]) -> str:
    """A line about a word that belongs to no flag, with the flag that was meant, perhaps."""
    own = set(own_flags())
    meant = _flag_for_path(word, own)
    hint = _flag_meant(word, own)
    if not hint and not (meant and _is_like_a_path(word)):
        hint = _list_meant(word, arguments, own)
    if not hint and meant:
        hint = f'did you mean --{meant} {word}?'
    return f'unexpected argument {word!r}; {hint or "every value belongs to a flag"} (see --help)'


def is_like_a_flag(word: str) -> bool:
    """Whether a word is rather a flag that was mistyped, or the value of a switch, than a path."""
    return bool(_flag_meant(word, set(own_flags())))


def _flag_meant(word: str, own: set[str]) -> str:
    """What to write in the place of a word that is like a flag; '' if it is not."""
    if word.lower() in ('true', 'false', 'yes', 'no', '0', '1'):
        return 'a switch is --NAME or --noNAME'
    if '=' in word and word.split('=')[0].lstrip('-–—') in own:
        return f'did you mean --{word.lstrip("-–—")}?'
    return f'did you mean --{word}?' if word in own else ''


def _list_meant(word: str, arguments: list[str], own: set[str]) -> str:
    """How a list is written whose words a space separates, as in '--outputs alpha cutout'."""
    if word not in arguments[1:]:  # absl has read it in a file
        return ''
    before = arguments[: arguments.index(word, 1)]
    name, _, value = before[-1].partition('=')
    if not value and len(before) > 1:
        name, value = before[-2:]
    name = name.lstrip('-') if name.startswith('-') else ''
    if name not in own or not isinstance(flags.FLAGS[name].parser, flags.ListParser):
        return ''
    after = arguments[len(before) :]
    words = [value, *itertools.takewhile(lambda other: not other.startswith('-'), after)]
    values = [value for word in words for value in word.split(',') if value]
    return f'did you mean --{name} {",".join(values)}?'


def _is_like_a_path(word: str) -> bool:
    return '.' in word or '/' in word or os.path.exists(word)


def _flag_for_path(word: str, own: set[str]) -> str | None:
    """The flag without a value that a path on its own most likely belongs to."""
    wanted = ('config',) if Path(word).suffix == '.py' else ('input', 'source', 'checkpoint')
    names = [name for name in wanted if name in own]
    return next((name for name in names if not flags.FLAGS[name].present), None)
