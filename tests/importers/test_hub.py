import hashlib
import sys

import pytest

from mattingjax.errors import WeightsError
from mattingjax.importers import hub, import_weights


@pytest.fixture
def downloads(monkeypatch, tmp_path):
    """What was asked of the Hub; each file it gives holds 'weights'."""
    asked = []

    def download(repository, name, revision):
        asked.append((repository, name, revision))
        file = tmp_path / 'weights.bin'
        file.write_bytes(b'weights')
        return str(file)

    huggingface_hub = pytest.importorskip('huggingface_hub')
    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', download)
    return asked


SHA256 = hashlib.sha256(b'weights').hexdigest()


def test_addresses(downloads):
    for address in ('hf://a/b/c.ckpt', 'hf://a-1/b.2/folder/c.onnx', 'hf://a/b@v1/c.ckpt'):
        assert hub.fetch_from_hub(address, SHA256.upper()).read_bytes() == b'weights'
    assert downloads == [
        ('a/b', 'c.ckpt', None), ('a-1/b.2', 'folder/c.onnx', None), ('a/b', 'c.ckpt', 'v1'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    'address', ['hf://a', 'hf://a/b', 'hf://a/b/', 'hf://a/b/../c', 'hf:///b/c']
)
def test_no_addresses(downloads, address):
    with pytest.raises(WeightsError, match='expected hf://OWNER/REPO/FILE'):
        hub.fetch_from_hub(address)
    assert not downloads


def test_another_file_is_refused(downloads):
    with pytest.raises(WeightsError, match=f'expected SHA-256 {"0" * 64}, got {SHA256}'):
        import_weights('hf://a/b/c.ckpt', sha256='0' * 64)
    # Of the published MODNet the hash is known, and the revision that has it.
    with pytest.raises(WeightsError, match=r'expected SHA-256 07c308cf'):
        import_weights('hf://Xenova/modnet/onnx/model.onnx')
    assert downloads[-1][2].startswith('fa2fa546')


def test_the_known_hash_is_that_of_the_published_weights(shared):
    file = shared / 'weights' / 'modnet_photographic.onnx'
    ((_, known),) = hub._KNOWN.values()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == known


def test_the_hash_of_an_unknown_file_is_told(downloads, caplog):
    hub.fetch_from_hub('hf://a/b/c.ckpt')
    (record,) = caplog.records
    assert record.levelname == 'WARNING'
    assert 'hf://a/b/c.ckpt' in record.getMessage()
    assert SHA256 in record.getMessage()
    caplog.clear()
    hub.fetch_from_hub('hf://a/b/c.ckpt', SHA256)
    assert not caplog.records


def test_offline_it_says_what_to_do(monkeypatch, capsys):
    huggingface_hub = pytest.importorskip('huggingface_hub')

    def fail(*_, **__):
        raise ConnectionError('no network')

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', fail)
    page = 'https://huggingface.co/a/b/resolve/main/c.ckpt'
    with pytest.raises(WeightsError, match=f'ConnectionError.*download {page} by hand'):
        import_weights('hf://a/b/c.ckpt')
    assert 'asking the Hub for hf://a/b/c.ckpt; without a network' in capsys.readouterr().err


def test_without_the_package_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match=r"pip install 'mattingjax\[importers\]'"):
        import_weights('hf://a/b/c.ckpt')


def test_a_hash_needs_an_address(tmp_path):
    with pytest.raises(WeightsError, match='files on the Hub alone'):
        import_weights(tmp_path / 'c.ckpt', sha256='0' * 64)
