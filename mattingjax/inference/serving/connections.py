"""Connections that end where a client is too slow, which uvicorn's own do not."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PATIENCE = 10.0  # seconds for all headers; for the rest of a body that nobody reads any longer
STALLED = 30.0  # seconds in which a client takes nothing of an answer
MAX_HEADERS = 65_536  # bytes


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with a clock for headers, for bodies that were refused, and for answers.

    The bodies of requests that are being answered have a clock of their own, in `BodyReader`.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._clock: asyncio.TimerHandle | None = None
        self._header_bytes: int | None = 0  # None while the parser is beyond the headers
        self._set_clock(PATIENCE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_clock(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._header_bytes is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes is not None and self._header_bytes > MAX_HEADERS:
            self.logger.warning(f'more than {MAX_HEADERS} bytes of headers')
            self.send_400_response('The headers are too long.')

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._set_clock(PATIENCE)

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        self._set_clock(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete:
            self._set_clock(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._set_clock(PATIENCE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_clock(STALLED)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._set_clock(None)

    def _set_clock(self, seconds: float | None) -> None:
        """Has the connection cut after some seconds; None stops the clock."""
        if self._clock is not None:
            self._clock.cancel()
        self._clock = None if seconds is None else self.loop.call_later(seconds, self._cut)

    def _cut(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()
