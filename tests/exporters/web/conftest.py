"""Pages as an export writes them, and the server that any static host is."""

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest

import mattingjax
from exporters.web import runtime
from exporters.writers.web_files import write_page
from mattingjax.errors import MattingError
from mattingjax.inference.sessions import METADATA_KEY
from mattingjax.inference.signature import read_signature
from mattingjax.weights import describe_weights

NETWORKS = ('modnet_p', 'mmnet_0.5')
# As strict as a host may be: WebAssembly is compiled, and nothing comes from elsewhere.
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "script-src 'self' 'wasm-unsafe-eval'"
)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        self.send_header('Content-Security-Policy', POLICY)
        self.send_header('Vary', 'Accept, Origin, Sec-Fetch-Dest')
        super().end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves a folder as `python -m http.server` does; yields its address."""
    handler = functools.partial(_Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.05})
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}/'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def load_or_skip() -> dict[str, bytes]:
    """The files of ONNX Runtime Web; skips the test where npm cannot fetch them."""
    try:
        return runtime.load_runtime()
    except MattingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='session')
def onnxruntime_web() -> dict[str, bytes]:
    return load_or_skip()


def write_shipped(folder: Path, name: str, files: dict[str, bytes]) -> None:
    """Writes the page of weights that ship."""
    path = Path(mattingjax.__file__).parent / 'weights' / name / 'model_dynamic.onnx'
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    signature = read_signature(path, metadata[METADATA_KEY])
    use = describe_weights(name)['use']
    write_page(folder, path.read_bytes(), signature, name, use, files)


@pytest.fixture(scope='session')
def pages(onnxruntime_web, tmp_path_factory) -> Path:
    """A folder with the page of each network in a folder of its name."""
    folder = tmp_path_factory.mktemp('pages')
    for name in NETWORKS:
        write_shipped(folder / name, name, onnxruntime_web)
    return folder
