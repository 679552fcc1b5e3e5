"""The whole road to a page, and what the manifest says of it."""

import hashlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mattingjax import create_predictor
from mattingjax.errors import MattingError, OutputError
from mattingjax.images.compositing import to_uint8
from tests.browsers import chromium
from tests.conftest import require_export_tools
from tests.exporters.web.conftest import serving
from tests.exporters.web.passing import HELPERS, from_text, to_text


@pytest.fixture(scope='module')
def export(mmnet_path, photo_path, onnxruntime_web, tmp_path_factory):
    """The page alone, of a network that its caller feeds normalised, with other names."""
    require_export_tools()
    from exporters.export import ExportOptions, export_checkpoint

    folder = tmp_path_factory.mktemp('exports') / 'mmnet'
    named = tmp_path_factory.mktemp('checkpoints') / 'people'
    shutil.copytree(mmnet_path, named)
    options = ExportOptions(
        formats=('web',),
        scaling_inside=False,
        input_name='photo',
        output_name='alpha',
        photos=(photo_path,),
    )
    return folder, export_checkpoint(named, folder, options), options


def test_all_of_it_is_written_and_described(export):
    folder, manifest, _ = export
    assert {path.name for path in folder.iterdir()} == {'web', 'manifest.json', 'verification.png'}
    (entry,) = manifest['artefacts'].values()
    assert set(manifest['artefacts']) == {'web/model.onnx'}
    parity = entry['parity']['onnxruntime']
    assert len(parity) == 6  # a photo and noise, at three sizes
    assert all(case['max'] <= 1e-4 for case in parity.values())
    found = {path.relative_to(folder / 'web').as_posix() for path in folder.rglob('web/**/*.*')}
    files = manifest['web']['files']
    assert found | {'onnxruntime/LICENSE'} == set(files)
    for name, file in files.items():
        content = (folder / 'web' / name).read_bytes()
        assert file == {'bytes': len(content), 'sha256': hashlib.sha256(content).hexdigest()}
    description = json.loads((folder / 'web' / 'model.json').read_text())
    assert description['signature'] == entry['signature']
    assert description['name'] == description['title'] == 'people'


def test_the_browser_computes_what_was_exported(export, photo_path):
    folder, *_ = export
    alpha = create_predictor(folder / 'web' / 'model.onnx')(photo_path)
    with chromium() as browser, serving(folder / 'web') as address:
        page = browser.new_page()
        page.goto(f'{address}model.json')
        page.evaluate(HELPERS)
        text = page.evaluate(
            """async (text) => {
              const { cutOut, open } = await import('/engine.js');
              await open();
              return textOf(await cutOut(new Blob([bytesOf(text)])));
            }""",
            to_text(photo_path.read_bytes()),
        )
    result = np.asarray(Image.open(io.BytesIO(from_text(text))))
    np.testing.assert_allclose(result[..., 3], to_uint8(alpha), atol=2)


def test_files_that_no_export_wrote_are_spared(export, mmnet_path):
    from exporters.export import export_checkpoint

    folder, _, options = export
    mine = folder / 'web' / 'mine.html'
    mine.write_text('mine')
    with pytest.raises(OutputError, match=r'web/mine\.html: no file of an export'):
        export_checkpoint(mmnet_path, folder, options, overwrite=True)
    mine.unlink()


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'formats': ('web',), 'precisions': ('fp16',)}, 'precisions: fp16 is not for frozen'),
        ({'onnxruntime_web': 'package.tgz'}, 'onnxruntime_web: expected web among the formats'),
    ],
)
def test_options_that_do_not_fit_are_told(options, expected):
    from exporters.export import ExportOptions

    with pytest.raises(MattingError, match=expected):
        ExportOptions(**options)
