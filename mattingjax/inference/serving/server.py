"""Runs the server until somebody ends it."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
from collections.abc import Iterator

import uvicorn

from mattingjax.errors import MattingError
from mattingjax.inference.serving.app import create_app
from mattingjax.inference.serving.connections import Connection
from mattingjax.inference.serving.service import Service
from mattingjax.process.progress import say
from mattingjax.process.stopping import Stop

_GRACE = 30  # seconds that requests in progress may take once the server ends
_MAX_PORT = 65535


def bind(host: str, port: int) -> socket.socket:
    """Takes a port, before anything slow is done; nobody can connect yet.

    Args:
      host: An address or a name of this machine.
      port: 0 to 65535; 0 takes any that is free.

    Raises:
      MattingError: It cannot be had.
    """
    if not 0 <= port <= _MAX_PORT:
        raise MattingError(f'port: expected 0 to {_MAX_PORT}, got {port}')
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise MattingError(f'host: expected an address of this machine, got {host!r}') from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise MattingError(
            f'host, port: cannot listen on {host}:{port} ({os.strerror(error.errno or 0)})'
        ) from error
    return listener


def run(service: Service, listener: socket.socket, allow_origins: tuple[str, ...] = ()) -> None:
    """Prints the address, and answers requests until Ctrl-C or SIGTERM.

    Those in progress are answered still.

    Args:
      service: What is offered.
      listener: What `bind` returned.
      allow_origins: As for `create_app`.
    """
    config = uvicorn.Config(
        create_app(service, allow_origins),
        http=functools.partial(Connection, patience=service.limits.patience),  # type: ignore[arg-type]
        loop='asyncio',  # uvloop takes the signals from the thread of `Stop` that hears them
        ws='none',
        lifespan='off',
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    logging.getLogger('uvicorn').setLevel(logging.WARNING)
    # What it finds in a form is said once, by the line of the request.
    logging.getLogger('python_multipart').setLevel(logging.ERROR)
    stop = Stop('requests in progress are answered', own_process=True)
    with stop.watching():
        stop.has_done_something()
        _Server(config, stop).run(sockets=[listener])
    service.close()
    say('stopped')


def _describe(listener: socket.socket) -> str:
    """The address of the page."""
    address, port = listener.getsockname()[:2]
    return f'http://[{address}]:{port}/' if ':' in address else f'http://{address}:{port}/'


class _Server(uvicorn.Server):
    """uvicorn's server, which `Stop` ends."""

    def __init__(self, config: uvicorn.Config, stop: Stop):
        super().__init__(config)
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            print(_describe(listener), flush=True)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stop.requested is not None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
