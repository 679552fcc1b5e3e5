"""What strangers send to the server: the bytes of a connection, from the first line to the last."""

import urllib.parse
from pathlib import Path

import numpy as np

from tests.fuzz import pictures, traps, videos
from tests.fuzz.mutations import NUMBERS, TEXTS, mutate_bytes

BOUNDARY = b'limit'
_PATHS = ('/networks', '/health', '/metrics', '/', '/docs', '/openapi.json', '/index.html')
_STRANGE_PATHS = (
    '/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/matte/', '//matte', '*', '/%00', '/%ff',
    'http://elsewhere/matte', '/\u00e4', '/' + 'x' * 5000, '/matte#a', '/%2fetc', '/docs/../matte',
)  # fmt: skip
_METHODS = ('GET', 'HEAD', 'OPTIONS', 'PUT', 'TRACE', 'CONNECT', 'DELETE', 'x' * 500, '')
_VALUES = {
    'kind': ('alpha', 'cutout', 'composite'),
    'background': ('white', '00b140', 'rgb(0,177,64)', 'blur', '/etc/passwd', traps.WAY),
    'network': ('mmnet_0.5', 'modnet_p', '../trap', '/etc', 'hf://a/b/c'),
    'format': ('png', 'webp', 'jpg', 'mp4', 'webm'),
    'foreground': ('true', 'false', '0'),
    'refine': ('true', 'false', '1'),
}
_TYPES = (
    'multipart/form-data', 'multipart/form-data; boundary=', 'application/octet-stream',
    'multipart/form-data; boundary=' + 'x' * 300, 'multipart/form-data; boundary="a\\"b"; x*=y',
    'multipart/form-data; charset=nothing; boundary=limit', 'multipart/mixed; boundary=limit',
    'application/x-www-form-urlencoded', 'multipart/form-data; charset=utf-7; boundary=limit',
)  # fmt: skip


def write_samples(folder: Path) -> None:
    for name, write in (('pictures', pictures.write_samples), ('videos', videos.write_samples)):
        (folder / name).mkdir()
        write(folder / name)


def make_requests(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    """One to three connections, a file each."""
    for index in range(int(rng.integers(1, 4))):
        content = _request(rng, samples)
        if rng.integers(4) == 0:
            content = mutate_bytes(rng, content, _request(rng, samples))
        elif rng.integers(8) == 0:
            content *= int(rng.choice([2, 40]))
        (folder / f'{index}.http').write_bytes(content)


def _request(rng: np.random.Generator, samples: Path) -> bytes:
    method, path, body = 'GET', str(rng.choice(_PATHS)), b''
    if rng.integers(4):
        method, path = 'POST', ('/matte', '/video')[int(rng.integers(5) == 0)]
        body = _file(rng, samples)
    if rng.integers(8) == 0:
        path = _STRANGE_PATHS[rng.integers(len(_STRANGE_PATHS))]
    if rng.integers(8) == 0:
        method = _METHODS[rng.integers(len(_METHODS))]
    headers = ['Host: here', 'Connection: close']
    if body and rng.integers(2):
        body = _form(rng, body, samples)
        known = 'multipart/form-data; boundary=limit'
        headers.append(f'Content-Type: {rng.choice(_TYPES) if rng.integers(4) == 0 else known}')
    if rng.integers(4) == 0:
        headers.append(_strange_header(rng))
    framing, body = _framed(rng, body)
    head = '\r\n'.join([f'{method} {path}{_query(rng)} HTTP/1.1', *headers, *framing, '', ''])
    return head.encode('utf-8', 'surrogatepass') + body


def _file(rng: np.random.Generator, samples: Path) -> bytes:
    """A picture, or rarely a clip; damaged one time in two."""
    files = sorted((samples / ('pictures', 'videos')[int(rng.integers(6) == 0)]).iterdir())
    content = files[rng.integers(len(files))].read_bytes()
    return mutate_bytes(rng, content) if rng.integers(2) else content


def _query(rng: np.random.Generator) -> str:
    pairs = []
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
        name = str(rng.choice(list(_VALUES)))
        value = str(rng.choice(_VALUES[name]))
        if rng.integers(8) == 0:
            name, value = (str(rng.choice(np.array([*TEXTS, name], object))) for _ in range(2))
            name, value = name[:3000], value[:3000]
        pairs.append((name, value))
    if not pairs:
        return ''
    if rng.integers(16) == 0:
        return '?' + '&'.join(f'{name}={value}' for name, value in pairs)
    return '?' + urllib.parse.urlencode(pairs, errors='surrogatepass')


def _form(rng: np.random.Generator, file: bytes, samples: Path) -> bytes:
    """Parts with files and fields, of names and file names that are mostly expected."""
    names = np.array(['image', 'background', 'video', 'image', *TEXTS], object)
    lines = []
    for index in range(int(rng.choice([0, 1, 1, 2, 3, 2000], p=[0.05, 0.3, 0.3, 0.2, 0.1, 0.05]))):
        name = str(names[rng.integers(4 if rng.integers(4) else len(names))])[:500]
        name = ('image' if index == 0 and rng.integers(2) else name).replace('"', '%22')
        file_name = '' if rng.integers(8) == 0 else f'; filename="{rng.choice(names[2:8])}"'
        head = f'Content-Disposition: form-data; name="{name}"{file_name[:500]}\r\n'
        if rng.integers(4) == 0:
            head = _strange_header(rng) + '\r\n' + head
        content = (file, b'text', _file(rng, samples))[rng.integers(3)] if index else file
        lines.append(
            b'--' + BOUNDARY + b'\r\n' + head.encode('utf-8', 'replace') + b'\r\n'
            + content[:20_000] + b'\r\n'
        )  # fmt: skip
    end = b'--' + BOUNDARY + (b'--\r\n' if rng.integers(8) else b'')
    return b''.join(lines) + end


def _strange_header(rng: np.random.Generator) -> str:
    number = str(NUMBERS[rng.integers(len(NUMBERS))])
    headers = (
        'Content-Encoding: gzip', 'Content-Encoding: identity', f'Content-Length: {number}',
        'Transfer-Encoding: gzip, chunked', 'Expect: 100-continue', f'Range: bytes=0-{number}',
        'Range: bytes=' + ','.join(['0-'] * 1000), 'Origin: null', 'Upgrade: websocket',
        'If-Modified-Since: never', 'If-None-Match: *', 'Content-Disposition: form-data',
        'Content-Disposition: form-data; name=a; filename*=utf-9\'\'%ff', 'X: ' + 'y' * 70_000,
        'Content-Transfer-Encoding: base64', 'Host: b', ' folded', 'No colon', 'X: \u00e4\u202e',
        'Connection: keep-alive, Upgrade', 'Content-Type: text/plain; charset=nothing',
    )  # fmt: skip
    return headers[rng.integers(len(headers))]


def _framed(rng: np.random.Generator, body: bytes) -> tuple[list[str], bytes]:
    """The headers that tell where a body ends, and the body with what belongs to them."""
    choice = rng.integers(12)
    if choice == 0:
        wrong = (len(body) - 1, len(body) + 1, -1, 10**30, f'+{len(body)}', f'{len(body)}, 3', '')
        return [f'Content-Length: {wrong[rng.integers(len(wrong))]}'], body
    if choice < 4:
        size = int(rng.choice([1, 100, 10_000]))
        pieces = [body[i : i + size] for i in range(0, min(len(body), 200 * size), size)]
        chunks = b''.join(b'%x\r\n%b\r\n' % (len(piece), piece) for piece in pieces)
        end = (b'0\r\n\r\n', b'0\r\nX: y\r\n\r\n', b'ffffffffffffffff\r\n', b'-1\r\n', b'')
        return ['Transfer-Encoding: chunked'], chunks + end[max(0, int(rng.integers(12)) - 7)]
    return [f'Content-Length: {len(body)}'] if body or choice == 4 else [], body
