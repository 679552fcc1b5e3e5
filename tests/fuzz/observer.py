"""Sees what a case does beyond its own folder, by the events that Python audits.

What native code does by itself raises no such event: `traps.py` is for that.
"""

import contextlib
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_INSTALLED = tuple({
    str(ROOT), sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(),
})  # fmt: skip
_NOWHERE = ('/dev/null', '/dev/shm/')  # shared memory of this process's own threads
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Modules that make classes and functions of a few lines that they write themselves, or read the
# annotations of code.
_GENERATORS = ('ast.py', 'collections/__init__.py', 'dataclasses.py', 'inspect.py', 'typing.py')
_FORKS = (
    'os.exec',
    'os.fork',
    'os.forkpty',
    'os.posix_spawn',
    'os.spawn',
    'os.system',
    'pty.spawn',
)
_CYTHON = b'_getframe()'  # what modules of Cython compile to find their callers
_hidden = threading.local()


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """What this thread does in the block is the test's own doing."""
    _hidden.here = True
    try:
        yield
    finally:
        _hidden.here = False


class Observer:
    """Notes what was written outside of a folder, and what was executed.

    Args:
      folder: Where files may be written.
      programs: The first words of the only command that may be started; empty if none may be.

    Attributes:
      outside: What was written elsewhere, one line each.
      executed: What was started, called or connected to.
    """

    def __init__(self, folder: Path, programs: tuple[str, ...] = ()):
        self._folder, self._programs = os.path.realpath(folder), programs
        self.outside: list[str] = []
        self.executed: list[str] = []
        self._handlers: dict[str, Callable[..., None]] = {
            'open': self._open,
            'shutil.chown': self._change,
            **{f'os.{name}': self._change for name in ('chmod', 'chown', 'truncate', 'utime')},
            **{f'os.{name}': self._change for name in ('mkdir', 'rmdir', 'remove', 'setxattr')},
            **{f'os.{name}': self._change_two for name in ('link', 'rename', 'symlink')},
            **{event: self._fork(event) for event in _FORKS},
            'subprocess.Popen': self._start,
            'pickle.find_class': self._find,
            'socket.connect': self._connect,
            'socket.sendto': self._connect,
            'exec': self._exec,
            'compile': self._compile,
            'ctypes.dlopen': self._load,
        }

    def start(self) -> None:
        """Begins, in this process and until its end."""
        sys.dont_write_bytecode = True
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        handler = self._handlers.get(event)
        if handler is None or getattr(_hidden, 'here', False):
            return
        with unobserved():  # what looking at it takes
            handler(*arguments)

    def _open(self, path: Any, mode: str | None, flags: int) -> None:
        if flags & _WRITING if mode is None else not set(mode).isdisjoint('wax+'):
            self._change(path)

    def _change(self, path: Any, *arguments: Any) -> None:
        """Something is changed; the last argument is the folder of relative paths, if not -1."""
        self._check(path, arguments[-1] if arguments else -1)

    def _change_two(self, source: Any, target: Any, *folders: int) -> None:
        self._check(source, folders[0] if folders else -1)
        self._check(target, folders[-1] if folders else -1)

    def _check(self, path: Any, folder: Any) -> None:
        if isinstance(path, int):
            return  # a file that is open already
        path = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0 and not os.path.isabs(path):
            path = os.path.join(os.readlink(f'/proc/self/fd/{folder}'), path)
        whole = os.path.realpath(path)
        if not f'{whole}/'.startswith(f'{self._folder}/') and not whole.startswith(_NOWHERE):
            self.outside.append(whole)

    def _fork(self, event: str) -> Callable[..., None]:
        return lambda *arguments: self.executed.append(f'{event} {arguments!r:.100}')

    def _start(self, executable: Any, words: Any, *_: Any) -> None:
        if not self._programs or tuple(words[: len(self._programs)]) != self._programs:
            self.executed.append(f'subprocess.Popen {words!r:.100}')

    def _find(self, module: str, name: str) -> None:
        self.executed.append(f'pickle.find_class {module}.{name}')

    def _connect(self, _: Any, address: Any) -> None:
        self.executed.append(f'socket.connect {address!r:.100}')

    def _exec(self, code: Any) -> None:
        self._check_code(code.co_filename, f'exec {code.co_filename} {code.co_name}')

    def _compile(self, source: Any, name: Any) -> None:
        if source != _CYTHON:
            self._check_code(os.fsdecode(name or ''), f'compile {source!r:.100}')

    def _load(self, name: Any) -> None:
        self._check_code(os.fspath(name or _INSTALLED[0]), f'ctypes.dlopen {name}')

    def _check_code(self, origin: str, what: str) -> None:
        """Code is what the packages are made of, or is generated while they are imported."""
        if f'{origin}/'.startswith(f'{self._folder}/') or not (
            origin.startswith(_INSTALLED) or _is_ours(sys._getframe(3))
        ):
            self.executed.append(what)


def _is_ours(frame: FrameType | None) -> bool:
    """Whether a generator of classes asks for it, or an import is going on."""
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is not None and frame.f_code.co_filename.endswith(_GENERATORS):
        return True
    while frame is not None:
        if frame.f_code.co_filename.startswith('<frozen importlib'):
            return True
        frame = frame.f_back
    return False
