"""Parsers that are written in Python here, each as a function of bytes that must not fail.

`guided.py` has them called with bytes that follow the branches taken; `corpus/guided/TARGET` holds
bytes to begin with, and those that failed once.
"""

import asyncio
import contextlib
import functools
import io
import struct
import tempfile
import urllib.parse
import zipfile
from collections.abc import Callable
from pathlib import Path

from exporters.bins.index import INDEX_FILE, read_index
from mattingjax.config.schema import parse_json
from mattingjax.errors import MAX_LINE, MattingError
from mattingjax.images.compositing import parse_colour
from mattingjax.importers.modnet_names import read_prune_info
from mattingjax.importers.tf_checkpoint import read_tensorflow_tensors
from mattingjax.importers.torch_file import read_torch_tensors
from mattingjax.inference.screening.lite_model import read_lite_model
from mattingjax.inference.screening.protobuf import ONNX_DATA, check_structure
from mattingjax.inference.signature import MANIFEST_FILE, read_signature
from mattingjax.inference.video.raw_frames import parse_frame_size
from mattingjax.inference.video.sources import parse_rate, parse_seconds
from mattingjax.inference.video.timestamps import read_times
from mattingjax.networks.model_config import ModelConfig
from tests.fuzz.harness import MalformedError
from tests.tf_bundles import field, tensor_entry, varint, write_index


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory:
    """A folder of this process, in which each call writes over the files of the one before."""
    return tempfile.TemporaryDirectory(prefix='guided.')


def _file(name: str, content: bytes) -> Path:
    path = Path(_scratch().name, name)
    path.write_bytes(content)
    return path


def torch_files(content: bytes) -> None:
    read_torch_tensors(_file('a.ckpt', content))


def pickles(content: bytes) -> None:
    """The bytes are the program in a file that is whole otherwise."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, 'w') as archive:
        archive.writestr('archive/data.pkl', content)
        archive.writestr('archive/data/0', bytes(64))
    read_torch_tensors(_file('a.ckpt', whole.getvalue()))


def bundle_blocks(content: bytes) -> None:
    """The bytes are a block of an index, under the checksum that belongs to them."""
    prefix = _file('a.data-00000-of-00001', bytes(64)).with_name('a')
    write_index(prefix, [content], [0])
    read_tensorflow_tensors(prefix)


def bundle_entries(content: bytes) -> None:
    """The bytes are an entry of an index: a protocol buffer with a tensor's place."""
    head = field(1, 1)
    items = (b'', head), (b'a', content), (b'b', tensor_entry())
    block = b''.join(varint(0) + varint(len(k)) + varint(len(v)) + k + v for k, v in items)
    bundle_blocks(block + struct.pack('<II', 0, 1))


def bins_indices(content: bytes) -> None:
    index = read_index(_file(INDEX_FILE, content).parent)
    if type(index).from_dict(index.to_dict()) != index:
        raise MalformedError('the index does not come back from its own JSON')


def configs(content: bytes) -> None:
    config = ModelConfig.from_dict(parse_json(content))
    if ModelConfig.from_dict(config.to_dict()) != config:
        raise MalformedError('the config does not come back from its own JSON')


def prune_infos(content: bytes) -> None:
    read_prune_info(_file('prune_info.json', content))


def manifests(content: bytes) -> None:
    _file(MANIFEST_FILE, content)
    read_signature(_file('model.onnx', b''))


def protobufs(content: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):  # what its callers expect
        check_structure(content, ONNX_DATA)


def lite_models(content: bytes) -> None:
    read_lite_model(content)


def texts(content: bytes) -> None:
    """Colours, times, rates and sizes, as people type them."""
    text = content.decode('utf-8', 'surrogateescape')
    for parse in (parse_colour, lambda text: parse_seconds(text, 'start'), parse_rate):
        with contextlib.suppress(MattingError):
            parse(text)
    parse_frame_size(text)


def timestamps(content: bytes) -> None:
    read_times(_file('timestamps.txt', content))


def queries(content: bytes) -> None:
    from fastapi import HTTPException
    from pydantic import ValidationError

    from mattingjax.inference.serving.queries import MatteQuery, VideoQuery

    pairs = dict(urllib.parse.parse_qsl(content.decode('latin-1'), keep_blank_values=True))
    for query in (MatteQuery, VideoQuery):
        try:
            query(**pairs).check()
        except ValidationError:
            continue
        except HTTPException as error:
            if error.status_code != 422:
                raise MalformedError(f'status {error.status_code}') from error


def forms(content: bytes) -> None:
    """The first line is the type of the body, the rest is the body."""
    from fastapi import HTTPException, Request

    from mattingjax.inference.serving.bodies import _split_form

    head, _, body = content.partition(b'\n')
    request = Request({'type': 'http', 'headers': [(b'content-type', head)]})
    try:
        parts = asyncio.run(_split_form(body, request, 'image'))
    except HTTPException as error:
        if error.status_code not in (400, 422):
            raise MalformedError(f'status {error.status_code}') from error
        return
    if 'image' not in parts or sum(map(len, parts.values())) > len(body):
        raise MalformedError(f'parts {sorted(parts)}')


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        torch_files, pickles, bundle_blocks, bundle_entries, bins_indices, configs, prune_infos,
        manifests, protobufs, lite_models, texts, timestamps, queries, forms,
    )
}  # fmt: skip


def attempt(name: str, content: bytes) -> None:
    """Calls a target; raises whatever is no error of the library with a line that is short."""
    try:
        TARGETS[name](content)
    except MattingError as error:
        message = str(error)
        if len(message) > MAX_LINE or not message.isprintable():
            raise MalformedError(f'a message of {len(message)} characters') from error
