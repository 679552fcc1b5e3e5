import numpy as np
from PIL import Image


def save_photo(folder, *, soft: bool) -> None:
    for name in ('photos', 'alphas'):
        (folder / name).mkdir()
    across = np.clip(np.linspace(-8 if soft else -1e6, 9 if soft else 1e6, 64), 0, 1)
    alpha = np.tile(np.uint8(np.round(across * 255)), (64, 1))
    Image.fromarray(alpha).save(folder / 'alphas' / 'a.png')
    Image.fromarray(np.dstack([alpha] * 3)).save(folder / 'photos' / 'a.png')


def run(run_script, network, folder):
    return run_script(
        'benchmark_refinement', '--checkpoint', network, '--images', folder / 'photos',
        '--alphas', folder / 'alphas', '--output', folder / 'out', '--crop_side=32',
    )  # fmt: skip


def test_errors_before_and_after(run_script, mmnet_path, tmp_path):
    save_photo(tmp_path, soft=True)
    process = run(run_script, mmnet_path, tmp_path)
    assert process.returncode == 0, process.stderr.decode()
    header, photo, mean, largest = process.stdout.decode().splitlines()
    assert header.split() == ['photo', 'before', 'after', 'ratio', 's/Mpixel']
    name, before, after, ratio, seconds = photo.split()
    assert name == 'a'
    assert abs(float(after) - float(before) * float(ratio)) < 0.1
    assert 0 < float(before) < 100
    assert float(seconds) > 0
    assert mean.split()[-4:] == [before, after, ratio, seconds]
    assert largest == f'largest ratio {ratio}'
    with Image.open(tmp_path / 'out' / 'refinement.png') as picture:
        assert picture.width > 4 * 32


def test_masks_have_no_soft_band(run_script, mmnet_path, tmp_path):
    save_photo(tmp_path, soft=False)
    process = run(run_script, mmnet_path, tmp_path)
    assert process.returncode == 2
    last = process.stderr.decode().splitlines()[-1]
    assert last == 'error: no photo has an alpha with a soft band, or all are too small'
    assert not (tmp_path / 'out').exists()
