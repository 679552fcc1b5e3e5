"""What inputs name and nobody may touch: files beside a case's folder, and an address.

The system itself tells when they are opened or connected to, so that native code is seen as well.
"""

import contextlib
import ctypes
import functools
import os
import socket
import struct
from pathlib import Path

FOLDER = 'trap'  # beside the folder of the input
TEXT, CLIP = 'text', 'clip.y4m'
WAY = f'../{FOLDER}/{TEXT}'  # from the folder of the input
_SIZE = 16, 8
# Of sys/inotify.h: reading, writing, attributes, opening, moving, creating, removing.
_EVENTS, _IS_FOLDER = 0x1 | 0x2 | 0x4 | 0x20 | 0xC0 | 0x100 | 0x200, 0x40000000
_HEAD = struct.Struct('iIII')


@functools.cache
def _listener() -> socket.socket:
    """A socket of this process on a free port, which nobody accepts connections of at once."""
    listener = socket.create_server(('127.0.0.1', 0))
    listener.setblocking(False)
    return listener


def address() -> str:
    """Host and port that nobody may connect to."""
    host, port = _listener().getsockname()
    return f'{host}:{port}'


def was_called() -> bool:
    """Whether somebody has connected to the address since this was asked for the last time."""
    called = False
    with contextlib.suppress(BlockingIOError):
        while True:
            _listener().accept()[0].close()
            called = True
    return called


class Trap:
    """A folder with a text and a whole clip that names such as `../trap/clip.y4m` lead to.

    Args:
      case: The folder of the case, in which it is made.
    """

    def __init__(self, case: Path):
        folder = case / FOLDER
        folder.mkdir()
        width, height = _SIZE
        frame = b'FRAME\n' + bytes(width * height * 3 // 2)
        head = f'YUV4MPEG2 W{width} H{height} F25:1 C420jpeg\n'.encode()
        (folder / CLIP).write_bytes(head + 3 * frame)
        (folder / TEXT).write_text('root:x:0:0\n')
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0 or (
            libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _EVENTS) < 0
        ):
            raise OSError(ctypes.get_errno(), 'inotify')

    def touched(self) -> list[str]:
        """Names in the folder that were touched; ends the watching."""
        content = b''
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._descriptor, 65536):
                content += part
        os.close(self._descriptor)
        names, position = set(), 0
        while position < len(content):
            _, mask, _, length = _HEAD.unpack_from(content, position)
            position += _HEAD.size
            if not mask & _IS_FOLDER:
                names.add(content[position : position + length].rstrip(b'\0').decode())
            position += length
        return sorted(names)
