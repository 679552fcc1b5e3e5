"""A whole server in the process of a case, which is sent the bytes of connections."""

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from mattingjax.errors import MAX_LINE
from tests.fuzz.harness import MalformedError
from tests.fuzz.observer import unobserved

CLIPS = (sys.executable, '-m', 'mattingjax', 'video')  # what the server starts for a clip
_PATIENCE = 0.3  # seconds that the server waits for bytes
_SILENCE = 2.0  # seconds after which the client closes its side
_LONGEST = 30.0  # seconds of the clock for anything
_ANSWERS = {200, 206, 304, 400, 404, 405, 408, 411, 413, 415, 416, 422, 429, 501, 503}
_OF_THE_PROTOCOL = (b'Invalid HTTP request received.', b'The headers are too long.')


def use_requests(folder: Path) -> None:
    """Sends each file on a connection of its own; the server must be well afterwards."""
    from mattingjax.inference import create_predictor
    from mattingjax.inference.serving import server
    from mattingjax.inference.serving.limits import Limits
    from mattingjax.inference.serving.service import Service

    limits = Limits(
        patience=_PATIENCE, workers=1, max_megabytes=1, max_megapixels=0.5, max_clip_seconds=1,
        timeout=20, clip_timeout=20,
    )  # fmt: skip
    service = Service(
        ['mmnet_0.5'], lambda name: create_predictor(name, 'onnxruntime', input_size=64), limits
    )
    failures: list[Exception] = []
    with server.bind('127.0.0.1', 0) as listener:
        port = listener.getsockname()[1]
        listener.listen()
        client = threading.Thread(target=_be_client, args=(folder, port, failures))
        client.start()
        server.run(service, listener)
        client.join()
    if failures:
        raise failures[0]


def _be_client(folder: Path, port: int, failures: list[Exception]) -> None:
    try:
        with unobserved():
            for path in sorted(folder.iterdir()):
                content = path.read_bytes()
                _check(content, _exchange(port, content))
            health = b'GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n'
            if not _exchange(port, health).startswith(b'HTTP/1.1 200 '):
                raise MalformedError('the server is not well')
    except Exception as error:
        failures.append(error)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _exchange(port: int, content: bytes) -> bytes:
    """What the server answers until it closes the connection."""
    answer = bytearray()
    with socket.create_connection(('127.0.0.1', port), timeout=_SILENCE) as connection:
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(content)
        if _receive(connection, answer):
            return bytes(answer)
        connection.settimeout(_LONGEST)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        if not _receive(connection, answer):
            raise MalformedError('the server keeps a connection for ever')
    return bytes(answer)


def _receive(connection: socket.socket, answer: bytearray) -> bool:
    """Adds what comes until the connection ends; says whether it did before it was silent."""
    with contextlib.suppress(ConnectionError):
        try:
            while part := connection.recv(65536):
                answer += part
        except TimeoutError:
            return False
    return True


class _Kept(io.BytesIO):
    """Bytes that `http.client` does not close."""

    def makefile(self, *_: Any) -> io.BytesIO:
        return self

    def close(self) -> None:
        pass


def _check(request: bytes, answer: bytes) -> None:
    """Raises MalformedError unless the first answer is one of those that the server may give."""
    if not answer:
        return  # it was refused without a word, or the client has left
    if b'HTTP/1.1 500 ' in answer:
        raise MalformedError(f'status 500 for {request[:80]!r}')
    method = request.partition(b' ')[0].decode('latin-1')
    try:
        response = http.client.HTTPResponse(_Kept(answer), method=method)  # type: ignore[arg-type]
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ValueError) as error:
        raise MalformedError(f'{type(error).__name__} in {answer[:80]!r}') from error
    if response.status not in _ANSWERS:
        raise MalformedError(f'status {response.status} for {request[:80]!r}')
    if response.status >= 400 and body and not body.startswith(_OF_THE_PROTOCOL):
        _check_problem(body)


def _check_problem(body: bytes) -> None:
    try:
        content = json.loads(body)
        detail = content['detail']
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedError(f'no JSON with a detail: {body[:80]!r}') from error
    if list(content) != ['detail'] or b'\n' in body:
        raise MalformedError(f'not one line with a detail alone: {body[:80]!r}')
    if not (isinstance(detail, str) and 0 < len(detail) <= MAX_LINE and detail.isprintable()):
        raise MalformedError(f'a detail of {len(detail)} characters: {detail[:80]!r}')
