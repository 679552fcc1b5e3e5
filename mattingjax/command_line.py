"""How every script starts: absl flags, one clear line and exit status 2 for bad input."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from absl import app, flags, logging

from mattingjax.errors import MattingError


def run(main: Callable[[], int | None]) -> NoReturn:
    """Parses the flags, runs `main` and exits with what it returns (None counts as 0).

    Wrong flags and bad input (`MattingError`, a missing optional package, a file that cannot be
    read or written) end in one line on standard error and exit status 2; Ctrl-C in 130.
    """

    def guarded(_: list[str]) -> NoReturn:
        if not flags.FLAGS['verbosity'].present:
            # JAX and Orbax tell of their inner workings at INFO; --verbosity=0 shows it.
            logging.set_verbosity(logging.WARNING)
        # A file's name may hold bytes that are no text.
        if sys.stdout is not None:  # it is closed, perhaps
            sys.stdout.reconfigure(errors='backslashreplace')  # type: ignore[union-attr]
        try:
            sys.exit(main() or 0)
        except (MattingError, ImportError) as error:
            _fail(str(error))
        except BrokenPipeError:
            # Whoever read our output has left; Python would complain once more when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            _fail(f'{error.filename}: {error.strerror}' if error.filename else str(error))
        except KeyboardInterrupt:
            sys.exit(130)

    app.run(guarded, flags_parser=_parse_flags)


def _parse_flags(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        absent = re.findall(r'--(\w+)=None: Flag --\w+ must have a value', str(error))
        # An error in the file of --config comes with its traceback, whose last line says it.
        said = re.sub(r'Error whilst parsing config file:.*\n(?=\S)', '', str(error), flags=re.S)
        _fail(f'--{absent[0]}: a value is required (see --help)' if absent else said)
    except SystemExit:  # --help, which absl ends with 1
        sys.exit(0)
    except Exception as error:  # whatever the file of --config raises, or ml_collections for it
        cause = error.args[0] if error.args and isinstance(error.args[0], KeyError) else error
        message = cause.args[0] if isinstance(cause, KeyError) else cause
        _fail(f'--config: {type(error).__name__}: {message}')
    if len(rest) > 1:
        _fail(f'unexpected argument {rest[1]!r}; every value belongs to a flag (see --help)')
    return rest


def _fail(message: str) -> NoReturn:
    print(f'error: {" ".join(message.split())}', file=sys.stderr)
    sys.exit(2)
