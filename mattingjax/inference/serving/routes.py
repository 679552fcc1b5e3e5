"""The routes of the server."""

from __future__ import annotations

import threading
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel

from mattingjax.inference.serving.bodies import BACKGROUND, FORM
from mattingjax.inference.serving.clips import CLIP_TYPES, Clip, matte_clip
from mattingjax.inference.serving.matting import MEDIA_TYPES, Picture, load_background, matte_photo
from mattingjax.inference.serving.metrics import CONTENT_TYPE
from mattingjax.inference.serving.queries import MatteQuery, VideoQuery, find_network
from mattingjax.inference.serving.service import Service

router = APIRouter()
QUERIES: dict[str, type[BaseModel]] = {'/matte': MatteQuery, '/video': VideoQuery}
_BINARY = {'type': 'string', 'format': 'binary'}
_PROBLEM = {
    'content': {
        'application/json': {
            'schema': {'type': 'object', 'properties': {'detail': {'type': 'string'}}}
        }
    }
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {'description': 'There is no body, or a damaged form', **_PROBLEM},
    408: {'description': 'The body came too slowly', **_PROBLEM},
    413: {'description': 'Too many bytes, pixels or seconds', **_PROBLEM},
    415: {'description': 'The body is no picture or clip in a known format', **_PROBLEM},
    422: {'description': 'The query is wrong, or no matte can be made of it', **_PROBLEM},
    429: {'description': 'The server is busy: see Retry-After', **_PROBLEM},
    500: {'description': 'A fault of the server', **_PROBLEM},
    503: {'description': 'It took too long, or the server ends', **_PROBLEM},
}


def _body(name: str) -> dict[str, Any]:
    """What OpenAPI says of a body: a file itself, or a form with it and a background."""
    properties = {name: _BINARY, BACKGROUND: _BINARY}
    form = {'type': 'object', 'properties': properties, 'required': [name]}
    return {
        'requestBody': {
            'required': True,
            'content': {FORM: {'schema': form}, 'application/octet-stream': {'schema': _BINARY}},
        }
    }


def _answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {'schema': _BINARY} for media_type in media_types}
    return {200: {'description': 'What was asked for', 'content': content}, **_PROBLEMS}


@router.post(
    '/matte',
    tags=['mattes'],
    response_class=Response,
    responses=_answers(*MEDIA_TYPES.values()),
    openapi_extra=_body('image'),
)
async def matte(request: Request, query: Annotated[MatteQuery, Query()]) -> Response:
    """Mattes a photo.

    The body is the file itself, or a form with the part `image` and, for a composite, the picture
    `background`. Server-Timing says how long each stage took, in milliseconds.
    """
    service: Service = request.app.state.service
    most = service.limits.max_megapixels * 1e6
    network = find_network(query.network, service.networks)
    query.check()
    service.workers.check_room()
    size = round(service.limits.max_megabytes * 1e6)
    async with service.bodies.reading(request, size, 'image') as parts:

        def work(abandoned: threading.Event) -> Picture:
            given = parts.get(BACKGROUND)
            picture = None if given is None else load_background(given, most, abandoned)
            outputs = query.outputs(picture)
            predictor = service.networks.get(network)
            return matte_photo(parts['image'], predictor, outputs, most, abandoned)

        picture = await service.workers.run(work, request)
    height, width = picture.size
    request.state.note = f'{width}x{height} {network}'
    service.metrics.count_matte(network, height * width, picture.stages)
    timing = ', '.join(
        f'{name};dur={1000 * seconds:.1f}' for name, seconds in picture.stages.seconds.items()
    )
    headers = {'Server-Timing': timing, 'Cache-Control': 'no-store'}
    return Response(picture.content, media_type=picture.media_type, headers=headers)


@router.post(
    '/video',
    tags=['mattes'],
    response_class=Response,
    responses={
        **_answers(*CLIP_TYPES.values()),
        501: {'description': 'The server mattes no clips', **_PROBLEM},
        507: {'description': 'The disk of the server is full', **_PROBLEM},
    },
    openapi_extra=_body('video'),
)
async def video(request: Request, query: Annotated[VideoQuery, Query()]) -> Response:
    """Mattes a clip, with its sound and its times.

    The body is the file itself, or a form with the part `video` and, for a composite, the picture
    `background`.
    """
    service: Service = request.app.state.service
    limits = service.limits
    if not service.mattes_clips():
        raise HTTPException(501, 'this server mattes no clips, only photos: POST /matte')
    network = find_network(query.network, service.networks)
    query.check()
    service.clip_worker.check_room()
    size = round(limits.max_clip_megabytes * 1e6)
    async with service.clip_bodies.reading(request, size, 'video') as parts:
        kind, background, form = query.clip(parts.get(BACKGROUND))
        source = service.networks.source(network)
        clip = Clip(parts['video'], kind, background, form, source, service.video_flags)
        content = await service.clip_worker.run(
            lambda abandoned: matte_clip(clip, limits, abandoned), request
        )
    request.state.note = f'{kind} {network}'
    headers = {'Cache-Control': 'no-store'}
    return Response(content, media_type=CLIP_TYPES[form], headers=headers)


@router.get('/networks', tags=['server'])
async def networks(request: Request) -> dict[str, Any]:
    """Lists the networks that can be asked for, and what the server takes."""
    service: Service = request.app.state.service
    limits = service.limits
    return {
        'default': service.networks.default,
        'networks': service.networks.describe(),
        'limits': {
            'megabytes': limits.max_megabytes,
            'megapixels': limits.max_megapixels,
            'clip_megabytes': limits.max_clip_megabytes,
            'clip_seconds': limits.max_clip_seconds,
        },
        'videos': service.mattes_clips(),
    }


@router.get('/health', tags=['server'])
async def health(request: Request) -> dict[str, str]:
    """Says that the server is up, and which network is loaded."""
    return {'status': 'ok', 'network': request.app.state.service.networks.default}


@router.get(
    '/metrics',
    tags=['server'],
    response_class=Response,
    responses={200: {'content': {'text/plain': {}}}},
)
async def metrics(request: Request) -> Response:
    """What the server has counted, as Prometheus reads it."""
    return Response(request.app.state.service.metrics.format(), media_type=CONTENT_TYPE)
