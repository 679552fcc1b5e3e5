"""A stand-in for S3: the part of its protocol that pyarrow speaks, over a dictionary."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import hashlib
import io
import itertools
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_PAGE = 7  # keys in an answer to a listing: few, so that listings have pages
_MODIFIED = 1_700_000_000  # seconds since 1970, of an object that was never written again


class Bucket:
    """Objects by their keys.

    Attributes:
      objects: Key of each object → its content and the second of its change.
      is_forbidden: Whether all requests are refused.
      requests: Method and key of each request.
    """

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.is_forbidden = False
        self.requests: list[tuple[str, str]] = []
        self._clock = itertools.count(_MODIFIED)

    def put(self, key: str, content: bytes) -> None:
        """Writes an object, a second after the last."""
        self.objects[key] = content, next(self._clock)

    def names(self) -> list[str]:
        """The keys, but for those that mark folders."""
        return sorted(key for key in self.objects if not key.endswith('/'))


@contextlib.contextmanager
def serving(name: str) -> Iterator[tuple[Bucket, str]]:
    """Yields a bucket and what an address of a folder in it ends with."""
    bucket = Bucket()
    handler = type('Handler', (_Handler,), {'bucket': bucket, 'name': name})
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f'127.0.0.1:{server.server_port}'
        yield bucket, f'?scheme=http&endpoint_override={endpoint}&region=here'
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    name: str
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def _start(self) -> tuple[str, dict[str, str], bytes] | None:
        """The key, the query and the body of the request, unless it is refused."""
        parts = urlsplit(self.path)
        query = {name: found[0] for name, found in parse_qs(parts.query, True).items()}
        key = unquote(parts.path).removeprefix(f'/{self.name}').removeprefix('/')
        if self.headers.get('Transfer-Encoding') == 'chunked':
            body = _read_chunks(self.rfile)
        else:
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if 'aws-chunked' in self.headers.get('Content-Encoding', ''):
            body = _read_chunks(io.BytesIO(body))
        self.bucket.requests.append((self.command, key))
        if self.bucket.is_forbidden:
            self._answer(403, _error('AccessDenied'))
            return None
        return key, query, body

    def _answer(self, status: int, body: bytes = b'', **headers: str) -> None:
        self.send_response(status)
        headers.setdefault('Content_Length', str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace('_', '-'), text)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def _send_object(self, key: str) -> None:
        if key and key not in self.bucket.objects:
            self._answer(404, _error('NoSuchKey'))
            return
        content, modified = self.bucket.objects.get(key, (b'', 0))
        headers = {
            'ETag': f'"{hashlib.md5(content).hexdigest()}"',
            'Last_Modified': email.utils.formatdate(modified, usegmt=True),
            'Content_Type': 'application/octet-stream',
        }
        status = 200
        if found := re.fullmatch(r'bytes=(\d+)-(\d*)', self.headers.get('Range', '')):
            start, end = int(found[1]), int(found[2] or len(content) - 1)
            headers['Content_Range'] = f'bytes {start}-{end}/{len(content)}'
            content, status = content[start : end + 1], 206
        self._answer(status, content, **headers, Content_Length=str(len(content)))

    def do_HEAD(self) -> None:
        if request := self._start():
            self._send_object(request[0])

    def do_GET(self) -> None:
        if not (request := self._start()):
            return
        key, query, _ = request
        if 'list-type' in query:
            self._answer(200, self._list(query))
        else:
            self._send_object(key)

    def _list(self, query: dict[str, str]) -> bytes:
        prefix, delimiter = query.get('prefix', ''), query.get('delimiter', '')
        found: dict[str, str] = {}  # each key or folder, and how the answer names it
        for key, (content, modified) in sorted(self.bucket.objects.items()):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                folder = prefix + rest.partition(delimiter)[0] + delimiter
                found[folder] = (
                    f'<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>'
                )
                continue
            found[key] = (
                f'<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>'
                f'<LastModified>{_iso(modified)}</LastModified></Contents>'
            )
        after = query.get('continuation-token', '')
        names = [name for name in sorted(found) if name > after]
        page = names[: min(_PAGE, int(query.get('max-keys', _PAGE)))]
        more = f'<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>' if page else ''
        is_cut = str(len(page) < len(names)).lower()
        return _xml(
            'ListBucketResult',
            f'<IsTruncated>{is_cut}</IsTruncated><KeyCount>{len(page)}</KeyCount>'
            f'{more if is_cut == "true" else ""}{"".join(found[name] for name in page)}',
        )

    def do_PUT(self) -> None:
        if not (request := self._start()):
            return
        key, query, body = request
        if 'uploadId' in query:
            self.bucket.uploads[query['uploadId']][int(query['partNumber'])] = body
        else:
            self.bucket.put(key, body)
        self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def do_POST(self) -> None:
        if not (request := self._start()):
            return
        key, query, body = request
        if 'delete' in query:
            for name in re.findall(r'<Key>(.*?)</Key>', body.decode()):
                self.bucket.objects.pop(name, None)
            self._answer(200, _xml('DeleteResult', ''))
        elif 'uploads' in query:
            number = str(len(self.bucket.uploads) + 1)
            self.bucket.uploads[number] = {}
            names = f'<Key>{escape(key)}</Key><UploadId>{number}</UploadId>'
            self._answer(200, _xml('InitiateMultipartUploadResult', names))
        else:
            parts = self.bucket.uploads.pop(query['uploadId'])
            self.bucket.put(key, b''.join(parts[number] for number in sorted(parts)))
            names = f'<Key>{escape(key)}</Key><ETag>"{key}"</ETag>'
            self._answer(200, _xml('CompleteMultipartUploadResult', names))

    def do_DELETE(self) -> None:
        if request := self._start():
            self.bucket.objects.pop(request[0], None)
            self._answer(204)


def _read_chunks(file: BinaryIO) -> bytes:
    """The content of a body whose every chunk has its size, in hexadecimal digits, before it."""
    content = b''
    while size := int(file.readline().partition(b';')[0], 16):
        content += file.read(size)
        file.readline()
    while file.readline().strip():  # headers that follow
        pass
    return content


def _iso(seconds: int) -> str:
    return f'{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%S.000Z}'


def _xml(name: str, content: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{content}</{name}>'.encode()


def _error(code: str) -> bytes:
    return _xml('Error', f'<Code>{code}</Code><Message>{code}</Message>')
