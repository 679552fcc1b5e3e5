"""Reads the bodies of requests: no more bytes, no slower and no more at once than is allowed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from mattingjax.inference.serving.limits import SLOWEST

FORM = 'multipart/form-data'
BACKGROUND = 'background'  # the name of a part


class BodyReader:
    """Reads bodies whose bytes are held in memory until they are done with.

    Args:
      held: The most bytes of all bodies together.
      patience: Seconds that a body may take in any case; after that it must have had `SLOWEST`.
    """

    def __init__(self, held: int, patience: float):
        self._most_held, self._held, self._patience = held, 0, patience

    @contextlib.asynccontextmanager
    async def reading(
        self, request: Request, most: int, name: str
    ) -> AsyncIterator[dict[str, bytes]]:
        """Yields the parts of a request's body, whose bytes count until the block ends.

        Args:
          request: The request, of whose body nothing has been read.
          most: The most bytes that it may have.
          name: What the one part is called that it has to have; another may be `BACKGROUND`.

        Raises:
          HTTPException: The body is empty, compressed, larger than `most`, comes too slowly or is a
            damaged form, or the server holds too many already.
          starlette.requests.ClientDisconnect: The client has left.
        """
        _check_headers(request, most)
        body, length = bytearray(), 0
        try:
            async for chunk in self._read_chunks(request):
                if length + len(chunk) > most:
                    raise _too_large(most, f'more than {length} bytes')
                if self._held + len(chunk) > self._most_held:
                    raise HTTPException(
                        429, 'the server holds too many bytes', {'Retry-After': '1'}
                    )
                self._held += len(chunk)
                length += len(chunk)
                body += chunk
            if not body:
                raise HTTPException(400, 'expected a file as the body, got none')
            whole = bytes(body)
            body.clear()  # held once, not twice
            parts = await _split_form(whole, request, name) if _is_form(request) else {name: whole}
            del whole
            yield parts
        finally:
            self._held -= length

    async def _read_chunks(self, request: Request) -> AsyncIterator[bytes]:
        """Yields what comes of a body; raises HTTPException, 408, if it comes too slowly."""
        length = 0
        stream = aiter(request.stream())
        deadline = time.monotonic() + self._patience
        while True:
            try:
                chunk = await asyncio.wait_for(anext(stream), max(deadline - time.monotonic(), 0))
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise HTTPException(
                    408,
                    f'expected the body within {self._patience:g} s or at {SLOWEST / 1000:g} '
                    f'kB/s, got {length} bytes',
                ) from error
            length += len(chunk)
            # Bytes that came fast let nobody stop for longer.
            latest = time.monotonic() + self._patience
            deadline = min(deadline + len(chunk) / SLOWEST, latest)
            yield chunk


def _check_headers(request: Request, most: int) -> None:
    """Refuses what the headers tell already, before the client sends it."""
    encoding = request.headers.get('content-encoding', 'identity')
    if encoding != 'identity':
        raise HTTPException(
            415, f'Content-Encoding: expected a body that is not compressed, got {encoding}'
        )
    length = request.headers.get('content-length', '')
    if length.isdecimal() and int(length) > most:
        raise _too_large(most, f'{length} bytes')


def _too_large(most: int, found: str) -> HTTPException:
    return HTTPException(413, f'expected a body of at most {most / 1e6:g} MB, got {found}')


async def _split_form(body: bytes, request: Request, name: str) -> dict[str, bytes]:
    """Name of each part of a form → its content.

    Raises:
      HTTPException: It is no such form, has other parts than those that are expected, or fields
        that are no files.
    """

    async def whole() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(
        request.headers,
        whole(),  # type: ignore[arg-type]
        max_files=2,
        max_fields=2,
    )
    parser.spool_max_size = len(body) + 1  # in memory, where the body is too
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:  # the latter of a strange charset
        raise HTTPException(400, f'a damaged form: {error}') from error
    parts: dict[str, bytes] = {}
    try:
        for found, part in form.multi_items():
            if not isinstance(part, UploadFile):
                raise HTTPException(
                    422, f'{found}: expected a file, got a field; other values go into the query'
                )
            if found in parts:
                raise HTTPException(422, f'{found}: expected one file, got several')
            parts[found] = await part.read()
    finally:
        await form.close()
    if name not in parts or set(parts) - {name, BACKGROUND}:
        raise HTTPException(
            422,
            f'expected the parts {name} and, if at all, {BACKGROUND}, got '
            f'{", ".join(parts) or "none"}',
        )
    return parts


def _is_form(request: Request) -> bool:
    """Whether the body of a request is a form with files."""
    kind = request.headers.get('content-type', '')
    return kind.partition(';')[0].strip().lower() == FORM
