"""Connections that end where a client is too slow, which uvicorn's own do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mattingjax.inference.serving.limits import SLOWEST

MAX_HEADERS = 65_536  # bytes, and of whatever else is neither headers nor a body
MAX_CONNECTIONS = 512
MAX_PIPELINED = 32  # requests that are sent before the answer to an earlier one


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with a clock for headers, for bodies that were refused, and for answers.

    The bodies of requests that are being answered have a clock of their own, in `BodyReader`.

    Args:
      patience: Seconds for all headers of a request and for what nobody reads of its body, and in
        which a client takes the bytes of an answer at the rate `SLOWEST`.
      arguments: What uvicorn gives to its protocols.
    """

    def __init__(self, *, patience: float, **arguments: Any):
        super().__init__(**arguments)
        self._patience = patience
        self._reading = _Clock(self.loop, patience)
        self._writing = _Clock(self.loop, patience)
        self._overhead = 0  # bytes since headers ended or something of a body came
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading.start(self._cut)
        if len(self.connections) > MAX_CONNECTIONS:
            self.logger.warning(f'expected at most {MAX_CONNECTIONS} connections')
            self._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading.stop()
        self._writing.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._overhead += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._overhead > MAX_HEADERS:
            self.logger.warning(f'expected at most {MAX_HEADERS} bytes of headers')
            self.send_400_response('The headers are too long.')
        elif self._is_idle() and not self._reading.is_running:  # empty lines between requests
            self._reading.start(self._cut)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._overhead = 0
        self._reading.start(self._cut)

    def on_headers_complete(self) -> None:
        self._overhead = 0
        self._reading.stop()
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED and not self.transport.is_closing():
            self.logger.warning(f'expected at most {MAX_PIPELINED} requests before their answers')
            self._cut()

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._overhead = 0
        super().on_message_complete()
        if self.cycle.response_complete:
            self._reading.stop()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_answer()
        # The cycle is that of the latest request, which may be read still.
        if self._is_idle() and self.cycle.more_body and not self.transport.is_closing():
            self._reading.start(self._cut)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_answer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch_answer()

    def _is_idle(self) -> bool:
        """Whether all requests whose headers came have their answer."""
        return self.cycle is None or self.cycle.response_complete

    def _watch_answer(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        if self._unsent:
            self._writing.start(self._look_at_answer)
        else:
            self._writing.stop()

    def _look_at_answer(self) -> None:
        taken = self._unsent - self.transport.get_write_buffer_size()
        if taken < min(self._unsent, SLOWEST * self._patience):
            self._cut()
        else:
            self._watch_answer()

    def _cut(self) -> None:
        self.transport.abort()


class _Clock:
    """Calls a function after some seconds, unless it is stopped or started anew before.

    Args:
      loop: The loop that calls it.
      seconds: After how many seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float):
        self._loop, self._seconds = loop, seconds
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        return self._handle is not None

    def start(self, action: Callable[[], None]) -> None:
        self.stop()
        self._handle = self._loop.call_later(self._seconds, action)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
