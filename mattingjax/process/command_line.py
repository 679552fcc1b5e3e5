"""How every script starts: absl flags, one clear line and exit status 2 for bad input."""

from __future__ import annotations

import difflib
import logging as standard_logging
import multiprocessing
import os
import re
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging

from mattingjax.errors import MattingError, one_line, unwrapped
from mattingjax.process.interrupts import ending_at_once

_MAX_INTEGER = 2**31 - 1  # no flag counts more; beyond, arrays and clocks overflow

if multiprocessing.current_process().name != 'MainProcess':
    # A worker process imports its script first, when it does not know its parent yet, and then
    # Grain, which remarks on older jaxlibs.
    logging.set_verbosity(logging.ERROR)
flags.disclaim_key_flags()  # what is defined here is listed in the --help of who asks for it
_CACHE = 'compilation_cache'


def define_compilation_cache() -> None:
    """Defines --compilation_cache, for a script in which JAX compiles; `run` does what it says."""
    flags.DEFINE_string(
        _CACHE,
        None,
        'Folder that keeps what JAX compiles, so that the next start need not: at most 1 GiB. '
        'Default: JAX_COMPILATION_CACHE_DIR, or mattingjax/compiled in ~/.cache or '
        '$XDG_CACHE_HOME; empty (--compilation_cache=): nothing is kept.',
    )


def _keep_compiled() -> None:
    if _CACHE in flags.FLAGS:
        from mattingjax.process.compilation import keep_compiled

        keep_compiled(flags.FLAGS[_CACHE].value)


# Of the flag of every script that reads alphas; `mattingjax.data.alpha_values` reads its value.
ALPHA_VALUES_HELP = (
    'What the numbers in alphas mean: auto (they tell it, or are refused), grey (from black to '
    'white), grey:100 (to 100), or of label maps labels:15 (15 is the person).'
)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Parses the flags, runs `main` and exits with what it returns (None counts as 0).

    Wrong flags and bad input (`MattingError`, a missing optional package, a file that cannot be
    read or written, too little memory) end in one line on standard error and exit status 2; Ctrl-C
    in 130, SIGTERM in 143. With --verbosity=1 the traceback comes before the line.
    """

    def guarded(_: list[str]) -> NoReturn:
        if not flags.FLAGS['verbosity'].present:
            # JAX and Orbax tell of their inner workings at INFO; --verbosity=0 shows it.
            logging.set_verbosity(logging.WARNING)
            logging.get_absl_handler().setFormatter(_OneLineFormatter())
        # A file's name may hold bytes that are no text.
        if sys.stdout is not None:  # it is closed, perhaps
            sys.stdout.reconfigure(errors='backslashreplace')  # type: ignore[union-attr]
        try:
            _keep_compiled()
            status = main() or 0
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk can still be told of
            sys.exit(status)
        except BrokenPipeError:
            # Whoever read our output has left; Python would complain once more when it exits.
            _forget_output()
            sys.exit(1)
        except Exception as error:
            message = _explain(error)
            if message is None:
                raise
            if isinstance(error, OSError) and error.filename is None:
                _forget_output()
            if logging.level_debug():
                traceback.print_exc()
            _fail(message)

    main_module = sys.modules['__main__']
    main_module.__doc__ = _fill(main_module.__doc__ or '', flags.get_help_width())
    with ending_at_once():
        app.run(guarded, flags_parser=_parse_flags)


def _fill(description: str, width: int) -> str:
    """A script's description for --help: its paragraphs as wide as the terminal."""
    paragraphs = description.strip().split('\n\n')
    return '\n\n'.join(
        # Commands, which are indented, stay as they are, to be copied.
        paragraph
        if paragraph.startswith(' ')
        else textwrap.fill(' '.join(paragraph.split()), width)
        for paragraph in paragraphs
    )


def _explain(error: Exception) -> str | None:
    """What to say of an error that the input or the machine is to blame for; None for our own."""
    if isinstance(error, MattingError):
        return _with_flags(str(error))
    if isinstance(error, ImportError):
        ours = (error.name or '').split('.')[0] in ('mattingjax', 'exporters')
        return None if ours else str(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        where = error.filename if error.filename2 is None else error.filename2
        return reason if where is None else f'{_text(where)}: {reason}'
    if isinstance(error, MemoryError):
        return f'not enough memory ({error})' if str(error) else 'not enough memory'
    if isinstance(error, RecursionError):
        return f'the input is nested too deeply ({error})'
    if isinstance(error, UnicodeError):
        return f'a text cannot be read or written ({error})'
    if isinstance(error, ValueError) and 'embedded null' in str(error):
        return f'a path holds a null character ({error})'
    # XLA's errors have another type in every version of JAX, OpenCV's are all of one.
    if found := re.search('RESOURCE_EXHAUSTED: *(.+)|(Insufficient memory)', str(error)):
        said = found[1] or found[2]
        return f'not enough memory for what was asked ({said}); a smaller batch or size needs less'
    return None


def _with_flags(message: str) -> str:
    """A message of the library, which names arguments, with the script's flags of those names.

    Arguments stand at the beginning ('images, alphas: ...') or before their value
    ('overwrite=True').
    """
    own = _own_flags()
    values = {str(flag.value) for flag in own.values()}
    if subject := re.match(r'\w+(, \w+)*(?=: )', message):
        names = subject[0].split(', ')
        known = [_flag_named(name) for name in names]
        if all(known) and not values.intersection(names):
            message = ', '.join(f'--{name}' for name in known) + message[subject.end() :]

    def flag_for(match: re.Match) -> str:
        name, value = match[1], match[2]
        if name not in own:
            return match[0]
        switch = {'True': f'--{name}', 'False': f'--no{name}'}
        return switch.get(value, f'--{name}={value}')

    return re.sub(r'(?<![^\s(])(\w+)=(\w+|\.{3})', flag_for, message)


def _flag_named(argument: str) -> str | None:
    """The script's flag for an argument, which may be of many where the flag is of one."""
    own = _own_flags()
    return next(
        (n for n in (argument, f'{argument}s', argument.removesuffix('s')) if n in own), None
    )


def _own_flags() -> dict[str, flags.Flag]:
    """The flags that the script itself defines."""
    return {flag.name: flag for flag in flags.FLAGS.get_flags_for_module(sys.argv[0])}


def _text(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)


def _forget_output() -> None:
    """Sends what is still to be written nowhere: it failed once, and would again at the exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _OneLineFormatter(standard_logging.Formatter):
    """'warning: what happened', as short as an error; one with a traceback as it is."""

    def format(self, record: standard_logging.LogRecord) -> str:
        if record.exc_info:
            return super().format(record)
        said = _with_flags(unwrapped(record.getMessage()))
        return one_line(f'{record.levelname.lower()}: {said}')


def _parse_flags(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        if isinstance(error.__context__, MattingError):  # of a flag's parser
            _fail(str(error.__context__))
        _fail(_explain_value(error) or _explain_flags(str(error), arguments))
    except SystemExit:  # --help, which absl ends with 1
        sys.exit(0)
    except Exception as error:  # of ml_collections
        unknown = max(arguments[1:], key=len)
        if isinstance(error, RecursionError) and unknown.startswith('-'):
            _fail(f'unknown flag {unknown} (see --help)')  # too long for absl's search for its like
        cause = error.args[0] if error.args and isinstance(error.args[0], KeyError) else error
        message = cause.args[0] if isinstance(cause, KeyError) else cause
        _fail(f'--config: {type(error).__name__}: {message}')
    if len(rest) > 1:
        _fail(_explain_extra(rest[1]))
    for flag in _own_flags().values():
        if isinstance(flag.value, int) and abs(flag.value) > _MAX_INTEGER:
            _fail(f'--{flag.name}: expected at most {_MAX_INTEGER} in size, got {flag.value}')
    return rest


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


def _explain_flags(said: str, arguments: list[str]) -> str:
    """What absl's complaint means."""
    if absent := re.search(r'--(\w+)=None: Flag --\w+ must have a value', said):
        extra = _extra_words(arguments)
        required = f'--{absent[1]}: a value is required (see --help)'
        return _explain_extra(extra[0]) if extra else required
    if unknown := re.match(r"Unknown command line flag '(.*?)'(?:\. Did you mean: (.*) \?)?", said):
        section, _, setting = unknown[1].partition('.')
        known = (unknown[2] or '').replace(', ', ' or --')
        if setting and 'config' in _own_flags():
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
            # Of those that --undefok names nothing is known.
            is_value = '=' not in name and known in flags.FLAGS and not flags.FLAGS[known].boolean
        else:
            extra.append(word)
    return extra


def _explain_extra(word: str) -> str:
    """What to say of a word that belongs to no flag: which flag it was meant for, perhaps."""
    own = set(_own_flags())
    if word.lower() in ('true', 'false', 'yes', 'no', '0', '1'):
        hint = 'a switch is --NAME or --noNAME'
    elif '=' in word and word.split('=')[0].lstrip('-–—') in own:
        hint = f'did you mean --{word.lstrip("-–—")}?'
    elif word in own:
        hint = f'did you mean --{word}?'
    elif meant := _flag_for_path(word, own):
        hint = f'did you mean --{meant} {word}?'
    else:
        hint = 'every value belongs to a flag'
    return f'unexpected argument {word!r}; {hint} (see --help)'


def _flag_for_path(word: str, own: set[str]) -> str | None:
    """The flag without a value that a path on its own most likely belongs to."""
    wanted = ('config',) if Path(word).suffix == '.py' else ('input', 'source', 'checkpoint')
    names = [name for name in wanted if name in own]
    return next((name for name in names if not flags.FLAGS[name].present), None)


def _fail(message: str) -> NoReturn:
    if sys.stderr is not None:  # `print` would turn to standard output
        print(one_line(f'error: {unwrapped(message)}'), file=sys.stderr)
    sys.exit(2)
