"""The application: routes, the page, errors as one line."""

from __future__ import annotations

import difflib
import mimetypes
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from mattingjax.errors import one_line
from mattingjax.inference.serving import PAGE
from mattingjax.inference.serving.journal import Journal
from mattingjax.inference.serving.routes import QUERIES, router
from mattingjax.inference.serving.service import Service


def create_app(service: Service, allow_origins: Sequence[str] = ()) -> Journal:
    """Makes the ASGI application of a server.

    Args:
      service: What it offers.
      allow_origins: Origins such as 'https://example.org' whose pages may call it from browsers;
        '*' allows all of them.
    """
    app: FastAPI = FastAPIOffline(
        title='mattingjax',
        description='Photos and clips in, alphas, cut-outs and composites out.',
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(router)
    app.add_exception_handler(StarletteHTTPException, _refuse)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _refuse_query)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _fail)
    app.add_middleware(_WithoutRanges)
    if allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(allow_origins),
            allow_methods=['GET', 'POST'],
            expose_headers=['Retry-After', 'Server-Timing'],
        )
    # Systems differ in what they take it for, and browsers run no module of another type.
    mimetypes.add_type('text/javascript', '.js')
    # What no route answers, so that wrong methods of the routes are refused.
    app.router.default = _Page(directory=PAGE, html=True)
    app.router.redirect_slashes = False
    return Journal(app, service.metrics)


class _Page(StaticFiles):
    """The files of the page, of which browsers ask each time whether they are new."""

    def file_response(self, *arguments: Any, **settings: Any) -> Response:
        response = super().file_response(*arguments, **settings)
        # Or modules of two versions would meet.
        response.headers['Cache-Control'] = 'no-cache'
        return response


class _WithoutRanges:
    """Has every answer sent whole, as a server may (RFC 9110, 14.2): all files are small.

    Starlette would refuse odd ranges in a text of its own.

    Args:
      app: The ASGI application.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] == 'http':
            # Not in a copy: the journal looks at what the router notes in the scope.
            scope['headers'] = [pair for pair in scope['headers'] if pair[0] != b'range']
        await self._app(scope, receive, send)


async def _refuse(request: Request, error: HTTPException) -> JSONResponse:
    detail = one_line(str(error.detail))
    if error.status_code == 404:
        detail = one_line(f'expected / or a path of /docs, got {request.url.path}')
    elif error.status_code == 405:
        allowed = (error.headers or {}).get('Allow', 'GET')
        detail = f'expected {allowed}, got {request.method}'
    request.state.note = detail
    return JSONResponse({'detail': detail}, error.status_code, error.headers)


async def _fail(request: Request, error: Exception) -> JSONResponse:
    # The log has the rest, which is not for strangers.
    return JSONResponse({'detail': 'the server failed; its log says why'}, 500)


async def _refuse_query(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    name, kind = str(first['loc'][-1]), first['type']
    if kind == 'extra_forbidden':
        known = list(QUERIES[request.url.path].model_fields)
        close = difflib.get_close_matches(name, known, 1)
        hint = f' (did you mean {close[0]}?)' if close else ''
        return await _refuse(
            request, HTTPException(422, f'expected some of {", ".join(known)}, got {name}{hint}')
        )
    expected = first.get('ctx', {}).get('expected', 'true or false')
    return await _refuse(
        request, HTTPException(422, f'{name}: expected {expected}, got {first["input"]!r}')
    )
