"""One line for each request, and its place in the metrics."""

from __future__ import annotations

import asyncio
import time
import traceback

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mattingjax.errors import one_line
from mattingjax.inference.serving.metrics import Metrics
from mattingjax.inference.serving.workers import Abandoned
from mattingjax.process.progress import say

_CLIENT_LEFT, _FAILED, _BUSY = 499, 500, 503  # 499 is nginx's: no client sees it
_ENDS = 'the server ends'
_QUIET = ('/health', '/metrics')  # are asked for every few seconds
_HEADERS = [(b'x-content-type-options', b'nosniff'), (b'referrer-policy', b'no-referrer')]
_POLICY = (
    b"default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    b"base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
_DOCUMENTATION = '/docs'  # whose page has a script and styles in it
_INLINE = b"; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"


class Journal:
    """The outermost part of the application: it writes lines, and answers what nothing else does.

    Args:
      app: The application.
      metrics: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        scope.setdefault('state', {})
        start, status, length = time.monotonic(), 0, 0

        async def note(message: Message) -> None:
            nonlocal status, length
            if message['type'] == 'http.response.start':
                status = message['status']
                message['headers'] = [*message['headers'], *_HEADERS]
                is_page = not scope['path'].startswith(_DOCUMENTATION)
                policy = _POLICY if is_page else _POLICY + _INLINE
                message['headers'].append((b'content-security-policy', policy))
            length += len(message.get('body', b''))
            await send(message)

        failure = ''
        try:
            await self._app(scope, receive, note)
        except (Abandoned, ClientDisconnect):
            status, scope['state']['note'] = _CLIENT_LEFT, 'the client has left'
        except asyncio.CancelledError:  # the server ends, and has waited for long enough
            if not status:
                await JSONResponse({'detail': _ENDS}, _BUSY)(scope, receive, note)
            scope['state']['note'] = _ENDS
        except Exception as error:  # a fault of ours, which ends no other request
            status, failure = _FAILED, traceback.format_exc()
            scope['state']['note'] = f'{type(error).__name__}: {error}'
        seconds = time.monotonic() - start
        route = getattr(scope.get('route'), 'path', 'page')
        self._metrics.count_request(route or 'page', status, seconds)
        # One line for a page, not for each of its files.
        is_quiet = route in _QUIET or (route == 'page' and scope['path'] != '/')
        if not is_quiet or status >= 400:
            say(_describe(scope, status, length, seconds) + (f'\n{failure}' if failure else ''))


def _describe(scope: Scope, status: int, length: int, seconds: float) -> str:
    """'2026-11-30 12:00:00 127.0.0.1 POST /matte 200 512x512 modnet_p 94 kB 0.12 s'."""
    client = (scope.get('client') or ('-',))[0]
    query = scope['query_string'].decode('latin-1')
    address = scope['raw_path'].decode('latin-1') + (f'?{query}' if query else '')
    note = scope['state'].get('note', '')
    when = time.strftime('%Y-%m-%d %H:%M:%S')
    parts = [when, client, scope['method'], address, str(status), note]
    return one_line(' '.join([*filter(None, parts), f'{length / 1000:.0f} kB {seconds:.2f} s']))
