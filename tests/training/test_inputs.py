"""Which photos a training takes, and which it is validated on."""

import itertools

import numpy as np
import pytest
from PIL import Image

from mattingjax.config import train_config
from mattingjax.data.alpha_files import AlphaReader
from mattingjax.data.alpha_values import AlphaValues
from mattingjax.data.datasets import SyntheticPortraits
from mattingjax.errors import MattingError
from mattingjax.training.inputs import open_sources
from mattingjax.training.settings import complete_settings
from tests.data.packs import make_pack
from tests.training.conftest import put, tiny_config


@pytest.fixture
def photos(tmp_path):
    """The layouts of both originals, cut-outs, photos without labels, a list, and a pack."""
    rows = ['image,alpha']
    for name, mode in itertools.product('abcdefghijkl', ('RGB', 'L', 'RGBA')):
        picture = Image.new(mode, (40, 40))
        folders = {
            'RGB': ('mmnet/train/image', 'mmnet/test/image', 'ppm/train/fg', 'ppm/val/fg', 'plain'),
            'L': ('mmnet/train/mask', 'mmnet/test/mask', 'ppm/train/alpha', 'ppm/val/alpha'),
            'RGBA': ('rgba',),
        }[mode]
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            picture.save(tmp_path / folder / f'{name}.png')
    rows += [f'plain/{name}.png,mmnet/train/mask/{name}.png' for name in 'abcdefghijkl']
    (tmp_path / 'list.csv').write_text('\n'.join(rows))
    parts = [f'plain=unlabelled:{tmp_path}/plain', f'mmnet=mmnet:{tmp_path}/mmnet']
    make_pack(tmp_path / 'pack', *parts)
    return tmp_path


@pytest.mark.parametrize(
    ('changes', 'kind', 'split', 'counts'),
    [
        # The dataset has splits, or others are named; the kind is what lies there.
        ({'dataset.kind': 'mmnet', 'dataset.root': 'mmnet'}, 'mmnet', 'test', (12, 12)),
        ({'dataset.kind': 'ppm100', 'dataset.root': 'ppm'}, 'ppm100', 'val', (12, 12)),
        ({'dataset.kind': 'csv', 'dataset.root': 'list.csv', 'validation.root': 'mmnet'},
         'mmnet', 'test', (12, 12)),
        ({'dataset.kind': 'unlabelled', 'dataset.root': 'plain', 'validation.root': 'ppm'},
         'ppm100', 'val', (12, 12)),
        ({'dataset.kind': 'unlabelled', 'dataset.root': 'plain', 'validation.root': 'list.csv'},
         'csv', 'test', (12, 12)),
        ({'dataset.kind': 'unlabelled', 'dataset.root': 'plain', 'validation.root': 'plain'},
         'unlabelled', 'test', (12, 12)),
        ({'dataset.kind': 'packed', 'dataset.root': 'pack/plain', 'validation.root': 'pack/mmnet'},
         'packed', 'test', (12, 12)),
        # A tenth is held out, and not trained on.
        ({'dataset.kind': 'csv', 'dataset.root': 'list.csv'}, 'held_out', 'test', (11, 1)),
        ({'dataset.kind': 'unlabelled', 'dataset.root': 'plain'}, 'held_out', 'test', (11, 1)),
        ({'dataset.kind': 'rgba', 'dataset.root': 'rgba'}, 'held_out', 'test', (11, 1)),
        ({'dataset.kind': 'packed', 'dataset.root': 'pack/plain'}, 'held_out', 'test', (11, 1)),
        ({'dataset.kind': 'mmnet', 'dataset.root': 'mmnet', 'validation.kind': 'held_out'},
         'held_out', 'test', (11, 1)),
        ({'dataset.kind': 'synthetic', 'dataset.count': 30}, 'held_out', 'test', (30, 3)),
    ],
)  # fmt: skip
def test_what_is_validated_on(photos, changes, kind, split, counts):
    config = train_config('mmnet')
    for path, value in changes.items():
        put(config, path, str(photos / value) if path.endswith('root') else value)
    config.loss.supervised = 0.0  # so that photos need no alphas
    config.data.backgrounds = str(photos / 'plain')
    config = complete_settings(config)
    assert (config.validation.kind, config.validation.split) == (kind, split)
    sources = open_sources(config)
    training, validation = sources.training['dataset'], sources.validation
    assert (len(training), len(validation)) == counts
    if kind == 'held_out' and not isinstance(training, SyntheticPortraits):
        names = [{record['name'] for record in part} for part in (training, validation)]
        assert len(names[0] | names[1]) == 12
    # As a training that goes on does.
    assert complete_settings(config).to_dict() == config.to_dict()


@pytest.mark.parametrize('kind', ['held_out', 'folders'])
def test_alphas_of_the_validation_are_read_as_those_of_the_dataset(tmp_path, kind):
    for i in range(3):
        label_map = np.array([[0, 128, 128, 255]], np.uint8).repeat(4, axis=0)
        for folder in ('photos', 'maps'):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(label_map).save(tmp_path / folder / f'{i}.png')
    where = {'kind': 'folders', 'root': str(tmp_path), 'images': 'photos', 'alphas': 'maps'}
    config = train_config('mmnet')
    config.dataset.update(where, alpha_values='labels:255')
    config.validation.kind = kind
    sources = open_sources(complete_settings(config))
    for dataset in (sources.training['dataset'], sources.validation):
        assert dataset.alphas == AlphaReader(AlphaValues(labels=((255, 1.0),)))
        assert dataset[0]['alpha'].mean() == 0.25
    if kind == 'folders':  # what is set there counts
        config.validation.alpha_values = 'labels:128'
        assert open_sources(complete_settings(config)).validation[0]['alpha'].mean() == 0.5


def test_held_out_portraits_are_others():
    config = complete_settings(tiny_config(validation__kind='held_out', dataset__seed=3))
    sources = open_sources(config)
    assert sources.training['dataset'].seed != sources.validation.seed


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'dataset.root': 'ppm'}, r'config.dataset.root \(of config.dataset.kind=mmnet\): .*trai'),
        ({'dataset.root': 'mmnet', 'validation.split': 'val'},
         r'config.validation.root \(of config.validation.kind=mmnet\): .*val/image: exp'),
        ({'dataset.kind': 'csv', 'dataset.root': 'list.csv', 'validation.root': 'plain'},
         r'config.validation.root \(of config.validation.kind=mmnet\): .*plain/test/image'),
    ],
)  # fmt: skip
def test_messages_about_data_name_the_setting(photos, changes, message):
    config = train_config('mmnet')
    for path, value in changes.items():
        put(config, path, str(photos / value) if path.endswith('root') else value)
    with pytest.raises(MattingError, match=message):
        open_sources(complete_settings(config))
