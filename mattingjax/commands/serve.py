"""Serves a page on which photos and clips are matted, and the same over HTTP.

  mattingjax serve
  mattingjax serve --host 0.0.0.0 --port 80 --networks modnet_p,mmnet,my/checkpoint
  curl --data-binary @photo.jpg 'http://127.0.0.1:8000/matte?kind=alpha' --output alpha.png
  curl -F image=@photo.jpg -F background=@beach.jpg http://127.0.0.1:8000/matte --output out.png

POST /matte gives the cut-out of a photo, its alpha or a composite, POST /video that of a clip,
/networks lists the networks, /docs all of it; /health and /metrics (Prometheus) are for whoever
watches the server. Nothing but the bodies of requests is read: no path and no address from outside.
Ctrl-C ends the server once the requests in progress are answered.
"""

from __future__ import annotations

import re

from absl import flags

from mattingjax.commands.network import Network
from mattingjax.errors import MattingError, missing_package
from mattingjax.inference.serving.limits import Limits
from mattingjax.process import command_line
from mattingjax.process.machine import count_cores

_NETWORK = Network()
_NETWORKS = flags.DEFINE_list(
    'networks',
    None,
    'Further networks that are offered: names of weights that ship, checkpoint directories, '
    'artefacts. Default: all that ship.',
)
_HOST = flags.DEFINE_string(
    'host', '127.0.0.1', 'Address to listen on; 0.0.0.0 lets other machines in, and :: by IPv6.'
)
_PORT = flags.DEFINE_integer('port', 8000, 'Port to listen on; 0 takes a free one.')
_WORKERS = flags.DEFINE_integer(
    'workers',
    None,
    'How many photos are in work at once, each on its share of the cores. Default: one for each '
    'core; 1 gives a photo that comes alone all of them.',
)
_QUEUE = flags.DEFINE_integer(
    'queue', Limits.queue, 'How many photos wait for a worker; more are refused with status 429.'
)
_TIMEOUT = flags.DEFINE_float(
    'timeout',
    Limits.timeout,
    'Seconds after which a request ends with status 503, waiting included.',
)
_PATIENCE = flags.DEFINE_float(
    'patience',
    Limits.patience,
    'Seconds that a client may let the server wait for a request, or for taking an answer.',
)
_MAX_MEGABYTES = flags.DEFINE_float(
    'max_megabytes', Limits.max_megabytes, 'The largest file of a photo, in millions of bytes.'
)
_MAX_MEGAPIXELS = flags.DEFINE_float(
    'max_megapixels', Limits.max_megapixels, 'The largest photo, in millions of pixels.'
)
_MAX_CLIP_SECONDS = flags.DEFINE_float(
    'max_clip_seconds', Limits.max_clip_seconds, 'The longest clip, in seconds; 0 takes none.'
)
_MAX_CLIP_MEGABYTES = flags.DEFINE_float(
    'max_clip_megabytes',
    Limits.max_clip_megabytes,
    'The largest file of a clip, in millions of bytes.',
)
_CLIP_TIMEOUT = flags.DEFINE_float(
    'clip_timeout', Limits.clip_timeout, 'As --timeout, for clips, which are matted one at a time.'
)
_ALLOW_ORIGINS = flags.DEFINE_list(
    'allow_origins',
    [],
    'Origins, such as https://example.org, whose pages may read the answers; * for all.',
)
command_line.define_compilation_cache(may_spare_jax=True)


def main() -> int:
    # Imported here, so that --help and wrong flags answer at once.
    try:
        from mattingjax.inference.serving import server
        from mattingjax.inference.serving.service import Service
    except ImportError as error:
        package = (error.name or '').split('.')[0]
        if package in ('', 'mattingjax'):
            raise
        raise missing_package('serve', package, 'serve') from error
    from mattingjax.inference.predictor import MOST_PARALLEL
    from mattingjax.process.memory import keep_freed_memory
    from mattingjax.process.progress import say

    keep_freed_memory()
    limits = Limits(
        max_megabytes=_MAX_MEGABYTES.value,
        max_megapixels=_MAX_MEGAPIXELS.value,
        timeout=_TIMEOUT.value,
        patience=_PATIENCE.value,
        queue=_QUEUE.value,
        workers=count_cores() if _WORKERS.value is None else _WORKERS.value,
        max_clip_megabytes=_MAX_CLIP_MEGABYTES.value,
        max_clip_seconds=_MAX_CLIP_SECONDS.value,
        clip_timeout=_CLIP_TIMEOUT.value,
    )
    # Each worker has its share of the cores: many photos take less time so, one of them more.
    parallel = min(limits.workers, count_cores(), MOST_PARALLEL)
    origins = _read_origins()
    with server.bind(_HOST.value, _PORT.value) as listener:
        service = Service(
            _list_networks(),
            lambda name: _NETWORK.load(parallel, name),
            limits,
            _NETWORK.flags(),
        )
        say(f'serving {", ".join(service.networks)} (Ctrl-C ends it)')
        if limits.max_clip_seconds and not service.mattes_clips():
            say("no clips are taken: they need the package av: pip install 'mattingjax[video]'")
        server.run(service, listener, origins)
    return 0


def _list_networks() -> list[str]:
    """The networks that are offered: the default, and by their size those that ship."""
    from mattingjax.weights import describe_weights, list_weights

    others = _NETWORKS.value
    if others is None:
        others = sorted(list_weights(), key=lambda name: -describe_weights(name)['parameters'])
    return [_NETWORK.name, *others]


def _read_origins() -> tuple[str, ...]:
    origins = tuple(_ALLOW_ORIGINS.value)
    for origin in origins:
        if origin != '*' and not re.fullmatch(r'https?://[^/?#\s]+', origin):
            raise MattingError(
                f'allow_origins: expected origins such as https://example.org, or *, got {origin}'
            )
    return origins
