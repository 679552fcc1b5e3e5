"""How every command starts: absl flags, one clear line and exit status 2 for bad input."""

from __future__ import annotations

import inspect
import logging as standard_logging
import multiprocessing
import os
import re
import sys
import textwrap
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from absl import app, flags, logging

from mattingjax.errors import MattingError, error_line, one_line, unwrapped
from mattingjax.process.flag_messages import (
    explain_extra,
    explain_wrong_flags,
    is_like_a_flag,
    own_flags,
    with_flags,
)
from mattingjax.process.interrupts import ending_at_once
from mattingjax.process.machine import RUNTIME_PACKAGES

_MAX_INTEGER = 2**31 - 1  # of any flag: beyond it, arrays and clocks overflow

if multiprocessing.current_process().name != 'MainProcess':
    # A worker process imports its program, before it knows its parent, and then Grain, which logs
    # remarks about older jaxlibs.
    logging.set_verbosity(logging.ERROR)
flags.disclaim_key_flags()  # flags defined here are listed in the --help of their callers
_CACHE = 'compilation_cache'
_jax_may_be_spared = False


def define_compilation_cache(*, may_spare_jax: bool = False) -> None:
    """Defines --compilation_cache, for a command in which JAX compiles; `run` obeys it.

    Args:
      may_spare_jax: Whether the command may end without JAX, whose import takes long. The flag is
        obeyed once a checkpoint is loaded for prediction.
    """
    global _jax_may_be_spared
    _jax_may_be_spared = may_spare_jax
    flags.DEFINE_string(
        _CACHE,
        None,
        'Folder that keeps what JAX compiles, so that the next start need not: at most 1 GiB. '
        'Default: JAX_COMPILATION_CACHE_DIR, or mattingjax/compiled in ~/.cache or '
        '$XDG_CACHE_HOME; an empty value (--compilation_cache=) keeps nothing.',
    )


def define_input_size() -> flags.FlagHolder[int | None]:
    """Defines --input_size, for a command that predicts with one network at one size."""
    return flags.DEFINE_integer(
        'input_size',
        None,
        'Input size in pixels at which the network is used: of the short side, or of both sides of '
        'one that sees squares; a multiple of its stride. Artefacts of a fixed size take none. '
        "Default: the network's own.",
    )


def define_runtime() -> flags.FlagHolder[str | None]:
    """Defines --runtime, for a command that predicts with checkpoints and artefacts."""
    return flags.DEFINE_enum(
        'runtime',
        None,
        [*RUNTIME_PACKAGES, 'jax'],
        'What runs the network: onnxruntime or openvino for weights that ship, they, '
        'tensorflow and litert for artefacts, jax for checkpoints. Default: onnxruntime where it '
        'can, else what suits; for videos and servers openvino, if it is installed.',
    )


def define_precision() -> flags.FlagHolder[str]:
    """Defines --precision, for a command that predicts with checkpoints and artefacts."""
    return flags.DEFINE_string(
        'precision',
        'f32',
        'What openvino computes in: f32, or bf16 or f16 where the device has it.',
    )


def define_sets() -> dict[str, flags.FlagHolder]:
    """Defines --images, --alphas, --foregrounds, --backgrounds and --alpha_values, for a benchmark.

    Returns:
      Name of each → the flag, as `mattingjax.evaluation.sets.name_sets` takes their values.
    """
    folders = {
        'images': 'Folder of photos.',
        'alphas': 'Folder of their mattes.',
        'foregrounds': 'Folder of cut-outs.',
        'backgrounds': 'Folder of pictures that the cut-outs are put on.',
    }
    defined = {name: flags.DEFINE_string(name, None, text) for name, text in folders.items()}
    defined['alpha_values'] = flags.DEFINE_string('alpha_values', 'auto', ALPHA_VALUES_HELP)
    return defined


def check_some(name: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Raises MattingError unless a list of words has at least one, and only those that are known.

    Args:
      name: The name of the flag.
      given: Its value.
      known: The words that it may have.
    """
    if not given or set(given) - set(known):
        raise MattingError(
            f'{name}: expected some of {", ".join(known)}, got {", ".join(given) or "none"}'
        )


def _keep_compiled() -> None:
    if _CACHE not in flags.FLAGS:
        return
    from mattingjax.process import compilation

    folder = flags.FLAGS[_CACHE].value
    if _jax_may_be_spared:
        compilation.keep_later(folder)
    else:
        compilation.keep_compiled(folder)


# Help of --alpha_values, whose value `mattingjax.data.alpha_values` reads.
ALPHA_VALUES_HELP = (
    'What the numbers in alphas mean: auto (told from the numbers, or refused), grey (from black '
    'to white), grey:100 (from 0 to 100), or for label maps labels:15 (15 is the person).'
)


def run(module: ModuleType | None = None) -> NoReturn:
    """Parses the flags of a module, runs its `main` and exits with what that returns (None is 0).

    Wrong flags and bad input (`MattingError`, a missing optional package, a file that cannot be
    read or written, too little memory) end in one line on standard error and exit status 2; Ctrl-C
    in 130, SIGTERM in 143. With --verbosity=1 the traceback comes before the line.

    Args:
      module: The command. It defines its flags when it is imported, its docstring is what --help
        shows, and its `main` reads the flags. A `main` with a parameter gets a list of the words
        that belong to no flag, wherever they stand; without one, such words are refused. If None,
        the program itself.
    """
    module = module or sys.modules['__main__']
    takes_words = bool(inspect.signature(module.main).parameters)
    flags.FLAGS.set_gnu_getopt(takes_words)

    def guarded(words: list[str]) -> NoReturn:
        if not flags.FLAGS['verbosity'].present:
            # JAX and Orbax log their inner workings at INFO; --verbosity=0 shows them.
            logging.set_verbosity(logging.WARNING)
            logging.get_absl_handler().setFormatter(_OneLineFormatter())
        # A file's name may hold bytes that are no text.
        if sys.stdout is not None:  # None if it is closed
            sys.stdout.reconfigure(errors='backslashreplace')  # type: ignore[union-attr]
        try:
            _keep_compiled()
            status = (module.main(words) if takes_words else module.main()) or 0
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk can still be reported
            sys.exit(status)
        except BrokenPipeError:
            # The reader of our output has left; Python would complain again when it exits.
            _forget_output()
            sys.exit(1)
        except Exception as error:
            message = explain(error)
            if message is None:
                raise
            if isinstance(error, OSError) and error.filename is None:
                _forget_output()
            if logging.level_debug():
                traceback.print_exc()
            _fail(message)

    _show_as_program(module)
    with ending_at_once():
        app.run(guarded, flags_parser=lambda arguments: _parse_flags(arguments, takes_words))


def _show_as_program(module: ModuleType) -> None:
    """Makes the docstring and the flags of a module those of the program, as absl knows them.

    To absl, the flags of a program are those of the module whose name is the program's.
    """
    by_module = flags.FLAGS.flags_by_module_dict()
    if module.__name__ in by_module:  # `__main__` is not: absl itself calls it as the program
        by_module[sys.argv[0]] = by_module.pop(module.__name__)
    sys.modules['__main__'].__doc__ = _fill(module.__doc__ or '', flags.get_help_width())


def _fill(description: str, width: int) -> str:
    """A command's description for --help: its paragraphs as wide as the terminal."""
    paragraphs = description.strip().split('\n\n')
    return '\n\n'.join(
        # Commands, which are indented, stay as they are, to be copied.
        paragraph
        if paragraph.startswith(' ')
        else textwrap.fill(' '.join(paragraph.split()), width)
        for paragraph in paragraphs
    )


def explain(error: Exception) -> str | None:
    """What is said of an error that is due to the input or the machine; None of our own ones."""
    if isinstance(error, MattingError):
        return with_flags(str(error))
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
    # XLA's errors have another type in every version of JAX, and OpenCV's all have the same.
    if found := re.search('RESOURCE_EXHAUSTED: *(.+)|(Insufficient memory)', str(error)):
        said = found[1] or found[2]
        return f'not enough memory for what was asked ({said}); a smaller batch or size needs less'
    return None


def _text(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)


def _forget_output() -> None:
    """Discards output that is not written yet: it failed once, and would again at the exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _OneLineFormatter(standard_logging.Formatter):
    """Formats records as 'warning: what happened'; those with a traceback stay as they are."""

    def format(self, record: standard_logging.LogRecord) -> str:
        if record.exc_info:
            return super().format(record)
        said = with_flags(unwrapped(record.getMessage()))
        return one_line(f'{record.levelname.lower()}: {said}')


def _parse_flags(arguments: list[str], takes_words: bool) -> list[str]:
    """The words that belong to no flag."""
    try:
        rest = flags.FLAGS(['--help' if word == '-h' else word for word in arguments])
    except flags.Error as error:
        if isinstance(error.__context__, MattingError):  # raised by a flag's parser
            _fail(with_flags(str(error.__context__)))
        _fail(explain_wrong_flags(error, arguments))
    except BrokenPipeError:  # the reader of --help has left
        _forget_output()
        sys.exit(1)
    except SystemExit:  # --help, which absl ends with 1
        sys.exit(0)
    except Exception as error:  # raised by ml_collections
        unknown = max(arguments[1:], key=len)
        if isinstance(error, RecursionError) and unknown.startswith('-'):
            _fail(f'unknown flag {unknown} (see --help)')  # too long for absl's search for its like
        cause = error.args[0] if error.args and isinstance(error.args[0], KeyError) else error
        message = cause.args[0] if isinstance(cause, KeyError) else cause
        _fail(f'--config: {type(error).__name__}: {message}')
    words = rest[1:]
    for word in words:
        if not takes_words or (is_like_a_flag(word) and not os.path.exists(word)):
            _fail(explain_extra(word, arguments))
    for flag in own_flags().values():
        if isinstance(flag.value, int) and abs(flag.value) > _MAX_INTEGER:
            _fail(f'--{flag.name}: expected at most {_MAX_INTEGER} in size, got {flag.value}')
    return words


def _fail(message: str) -> NoReturn:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # the disk that the message is about may be its too
        _forget_output()
    if sys.stderr is not None:  # `print` would turn to standard output
        print(error_line(message), file=sys.stderr)
    sys.exit(2)
