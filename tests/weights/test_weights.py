"""The weights that ship: what README.md says of them, and that they find a person."""

import dataclasses
import json
import re

import numpy as np
import pytest

import mattingjax
from mattingjax.checkpoints import load_config
from mattingjax.evaluation import EvaluationOptions, Folders, evaluate_folders
from mattingjax.networks.complexity import measure_complexity
from mattingjax.weights import DEFAULT_WEIGHTS, list_checkpoint_files
from tests.conftest import ROOT

FOLDER = ROOT / 'mattingjax' / 'weights'
NAMES = mattingjax.list_weights()
# Without the artefact, of which test_artefacts.py has the bound.
MEGABYTES = {'deeplab': 6, 'mmnet': 1, 'modnet': 6}
# Mean absolute differences that no weights may exceed: composites of head shots, street photos.
# They are about twice what the cards say; they would show weights that were mixed up or damaged.
BOUNDS = {
    'modnet_p': {'composites': 0.02, 'photos': 0.03},
    'mmnet': {'composites': 0.03, 'photos': 0.03},
    'mmnet_0.5': {'composites': 0.04, 'photos': 0.045},
    'mmnet_0.75': {'composites': 0.035, 'photos': 0.035},
    'deeplab': {'composites': 0.035, 'photos': 0.055},
}


# What is kept of the astronaut's lower half with the helmet, where the teacher has 0.987: at least
# this much, and what these weights still leave out.
HELMET = {'deeplab': 0.95, 'mmnet': 0.9, 'mmnet_0.5': 0.95, 'mmnet_0.75': 0.9, 'modnet_p': 0.95}
WITHOUT_HELMET = {
    'mmnet': '0.82 where 0.9 is asked; 0.95 before its runs on heads and shoulders',
    'mmnet_0.75': '0.86 where 0.9 is asked, as it comes from mmnet; 0.95 at 288 pixels',
}


def test_what_ships():
    assert NAMES == ['deeplab', 'mmnet', 'mmnet_0.5', 'mmnet_0.75', 'modnet_p']
    assert DEFAULT_WEIGHTS in NAMES
    readme = (ROOT / 'README.md').read_text()
    for name in NAMES:
        assert f'`{name}`' in readme


@pytest.mark.parametrize('name', NAMES)
def test_a_card_and_a_small_file(name):
    card = (FOLDER / name / 'README.md').read_text()
    for heading in ('Training', 'Figures', 'Limits', 'Licence'):
        assert re.search(rf'^## {heading}', card, re.MULTILINE), heading
    size = sum(file.stat().st_size for file in list_checkpoint_files(name))
    config = load_config(name)
    assert size < MEGABYTES[config.network] * 1e6
    # How it was trained is known; where on which machine is nobody's business.
    assert config.provenance['trained']['settings']['steps'] > 0
    provenance = json.dumps(config.provenance)
    assert not re.search(r'"(/|~|\.\.)|/(home|root|tmp|work)/', provenance)
    assert not list((FOLDER / name).rglob('commit_success.txt'))  # Orbax writes a path into it


def test_the_default_keeps_to_its_budget():
    config = dataclasses.replace(load_config('modnet_p'), input_size=512)
    complexity = measure_complexity(config)
    assert complexity['parameters'] <= 1_340_000
    assert complexity['macs'] <= 4.4e9


@pytest.mark.parametrize('name', NAMES)
def test_the_card_has_the_figures_of_the_readme(name):
    pages = [ROOT / 'README.md', FOLDER / name / 'README.md']
    rows = [
        re.findall(rf'^\|.*`{name}` (\| [\d,]+ \|.*)$', page.read_text(), re.M) for page in pages
    ]
    assert len(rows[0]) == 1
    assert rows[0] == rows[1]


@pytest.mark.parametrize('name', NAMES)
def test_the_astronaut_is_found(name):
    data = pytest.importorskip('skimage.data')
    alpha = mattingjax.create_predictor(name)(data.astronaut())
    assert alpha.shape == (512, 512)
    # Her face and her suit (not the helmet beside it), and the corner behind her.
    assert alpha[60:160, 190:260].mean() > 0.9
    assert alpha[220:400, 100:260].mean() > 0.9
    assert alpha[:120, :60].mean() < 0.1


@pytest.mark.parametrize('name', NAMES)
def test_what_the_astronaut_holds_is_found(name, request):
    data = pytest.importorskip('skimage.data')
    if name in WITHOUT_HELMET:
        request.applymarker(pytest.mark.xfail(reason=WITHOUT_HELMET[name], strict=True))
    alpha = mattingjax.create_predictor(name)(data.astronaut())
    assert alpha[300:500, 150:350].mean() > HELMET[name]


@pytest.mark.parametrize('name', NAMES)
def test_errors_on_photos_that_it_never_saw(name, shared, tmp_path):
    data = shared / 'data'
    sets = {
        'composites': Folders(
            foregrounds=_link(data / 'portraits_rgba', tmp_path / 'cutouts'),
            backgrounds=data / 'backgrounds',
        ),
        'photos': Folders(
            images=_link(data / 'ccp/test/image', tmp_path / 'image'),
            alphas=_link(data / 'ccp/test/mask', tmp_path / 'mask'),
        ),
    }
    options = EvaluationOptions(metrics=('mad',), regions=('whole',))
    for kind, folders in sets.items():
        report, _ = evaluate_folders(folders, options, network=name)
        assert np.isfinite(report.means['mad'])
        assert report.means['mad'] < BOUNDS[name][kind]


def _link(folder, linked, count=6):
    """A folder of some of the pictures of another, evenly chosen."""
    linked.mkdir()
    files = sorted(folder.iterdir())
    for file in files[:: len(files) // count][:count]:
        (linked / file.name).symlink_to(file)
    return linked
