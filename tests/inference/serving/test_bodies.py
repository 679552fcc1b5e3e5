"""Bodies of any bytes, in pieces of any size: what was sent is what is read, or a refusal."""

import asyncio

import pytest
from fastapi import HTTPException, Request
from hypothesis import given, settings
from hypothesis import strategies as st

from mattingjax.inference.serving.bodies import BACKGROUND, FORM, BodyReader

MOST = 4_000  # bytes of a body, and of all bodies together
BOUNDARY = 'limit'
CONTENT = st.binary(max_size=300).filter(lambda content: BOUNDARY.encode() not in content)
CUTS = st.lists(st.integers(1, 50), min_size=1, max_size=5)


@pytest.fixture(scope='module')
def reader():
    return BodyReader(MOST, patience=30)


def read(reader: BodyReader, body: bytes, cuts: list[int], kind: str) -> dict[str, bytes]:
    """The parts of a body that comes in pieces of these sizes, again and again."""
    pieces, position = [], 0
    while position < len(body):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(body[position : position + size])
        position += size
    messages = [{'type': 'http.request', 'body': piece, 'more_body': True} for piece in pieces]
    messages.append({'type': 'http.request', 'body': b'', 'more_body': False})

    async def receive():
        return messages.pop(0)

    request = Request({'type': 'http', 'headers': [(b'content-type', kind.encode())]}, receive)

    async def whole():
        async with reader.reading(request, MOST, 'image') as parts:
            return parts

    return asyncio.run(whole())


def form_of(parts: dict[str, bytes]) -> bytes:
    lines = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'
        for name in parts
    ]
    middle = (
        head.encode() + content + b'\r\n'
        for head, content in zip(lines, parts.values(), strict=True)
    )
    return b''.join(middle) + f'--{BOUNDARY}--\r\n'.encode()


@given(st.binary(min_size=1, max_size=300), CUTS)
@settings(deadline=None)
def test_a_body_without_a_form(reader, body, cuts):
    assert read(reader, body, cuts, 'application/octet-stream') == {'image': body}


@given(CONTENT, st.none() | CONTENT, st.booleans(), CUTS)
@settings(deadline=None)
def test_forms(reader, image, background, is_turned, cuts):
    parts = {'image': image, **({} if background is None else {BACKGROUND: background})}
    if is_turned:
        parts = dict(reversed(parts.items()))
    assert read(reader, form_of(parts), cuts, f'{FORM}; boundary={BOUNDARY}') == parts


@given(
    st.sampled_from(['', '; boundary=', f'; boundary={BOUNDARY}', '; boundary="', '; charset=x'])
    | st.text(st.characters(codec='latin-1', exclude_categories=['C']), max_size=30),
    st.lists(
        st.sampled_from([
            f'--{BOUNDARY}', f'--{BOUNDARY}--', '\r\n', '\r\n\r\n', '\n', ':', ';', '"',
            'Content-Disposition: form-data', 'name="image"', 'filename="a"',
            "filename*=utf-9''%ff",
            'Content-Type: text/plain; charset=nothing', '\x00', '\xff',
        ]).map(lambda text: text.encode('latin-1'))
        | st.binary(max_size=20),
        min_size=1, max_size=30,
    ).map(b''.join).filter(bool),
    CUTS,
)  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_forms_of_anything(reader, kind, body, cuts):
    try:
        names = set(read(reader, body, cuts, FORM + kind))
    except HTTPException as error:
        names, status = {'image'}, error.status_code
    else:
        status = 422
    assert status in (400, 422)
    assert {'image'} <= names <= {'image', BACKGROUND}


def test_bodies_that_were_refused_do_not_count(reader):
    for body, status in ((bytes(MOST + 1), 413), (b'', 400)):
        with pytest.raises(HTTPException) as caught:
            read(reader, body, [1000], 'application/octet-stream')
        assert caught.value.status_code == status
    assert read(reader, bytes(MOST), [1000], 'a/b') == {'image': bytes(MOST)}  # as many as it holds
