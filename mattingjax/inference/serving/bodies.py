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


class BodyReader:
    """Reads bodies whose bytes are held in memory until they are done with.

    Args:
      held: The most bytes of all bodies together.
      patience: Seconds that a body may take in any case; after that it must have had `SLOWEST`.
    """

    def __init__(self, held: int, patience: float):
        self._most_held, self._held, self._patience = held, 0, patience

    @contextlib.asynccontextmanager
    async def reading(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Yields the body of a request, whose bytes count until the block ends.

        Args:
          request: The request, of whose body nothing has been read.
          most: The most bytes that it may have.

        Raises:
          HTTPException: The body is empty, compressed, larger than `most` or comes too slowly, or
            the server holds too many already.
          starlette.requests.ClientDisconnect: The client has left.
        """
        _check_headers(request, most)
        body = bytearray()
        deadline = time.monotonic() + self._patience
        stream = aiter(request.stream())
        try:
            while True:
                left = deadline + len(body) / SLOWEST - time.monotonic()
                try:
                    chunk = await asyncio.wait_for(anext(stream), max(left, 0))
                except StopAsyncIteration:
                    break
                except TimeoutError as error:
                    raise HTTPException(
                        408,
                        f'expected the body within {self._patience:g} s or at {SLOWEST / 1000:g} '
                        f'kB/s, got {len(body)} bytes',
                    ) from error
                if len(body) + len(chunk) > most:
                    raise _too_large(most, f'more than {len(body)} bytes')
                if self._held + len(chunk) > self._most_held:
                    raise HTTPException(
                        429, 'the server holds too many photos', {'Retry-After': '1'}
                    )
                self._held += len(chunk)
                body += chunk
            if not body:
                raise HTTPException(400, 'expected a file as the body, got none')
            yield bytes(body)
        finally:
            self._held -= len(body)


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


async def split_form(body: bytes, request: Request) -> dict[str, bytes]:
    """Splits the body of a form.

    Args:
      body: The body, multipart/form-data.
      request: Whose body it is.

    Returns:
      Name of each part → its content.

    Raises:
      HTTPException: It is no such form, has parts of one name or more than two, or fields that are
        no files.
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
    except MultiPartException as error:
        raise HTTPException(400, f'a damaged form: {error.message}') from error
    parts: dict[str, bytes] = {}
    try:
        for name, part in form.multi_items():
            if not isinstance(part, UploadFile):
                raise HTTPException(
                    422, f'{name}: expected a file, got a field; other values go into the query'
                )
            if name in parts:
                raise HTTPException(422, f'{name}: expected one file, got several')
            parts[name] = await part.read()
    finally:
        await form.close()
    return parts


def is_form(request: Request) -> bool:
    """Whether the body of a request is a form with files."""
    kind = request.headers.get('content-type', '')
    return kind.partition(';')[0].strip().lower() == FORM
