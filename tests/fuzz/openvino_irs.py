"""Damaged and hostile OpenVINO IRs."""

import shutil
from pathlib import Path

import numpy as np

from tests.fuzz import traps
from tests.fuzz.artefacts import SHAPE, damage_manifest, use_artefact, write_manifest
from tests.fuzz.mutations import mutate_bytes


def write_openvino(folder: Path) -> None:
    from mattingjax.process.packages import import_openvino

    ov = import_openvino()
    import openvino.opset8 as ops

    image = ops.parameter(SHAPE, np.float32, name='input')
    mean = ops.reduce_mean(image, ops.constant(np.array([3], np.int64)), True)
    alpha = ops.divide(mean, ops.constant(np.float32(255)), name='output')
    alpha.output(0).get_tensor().set_names({'output'})
    model = ov.Model([alpha], [image], 'brightness')
    ov.save_model(model, folder / 'model.xml', compress_to_fp16=False)
    write_manifest(folder, 'model.xml')


def make_openvino(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    shutil.copytree(samples, folder, dirs_exist_ok=True)
    damage_manifest(rng, folder, 'model.xml')
    path = folder / 'model.xml'
    text = path.read_text()
    choice = rng.integers(6)
    if choice == 0:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    elif choice == 1:
        weights = folder / 'model.bin'
        weights.write_bytes(mutate_bytes(rng, weights.read_bytes()))
    elif choice == 2:
        number = str(rng.choice(['3', '32', '0', '8', '1']))
        huge = str(
            rng.choice(['4294967295', '1099511627776', '-1', '18446744073709551615', 'x' * 999])
        )
        path.write_text(text.replace(f'"{number}"', f'"{huge}"', int(rng.integers(1, 4))))
    elif choice == 3:
        kinds = ('Divide', 'ReduceMean', 'Parameter', 'Const', 'Result', 'opset1', 'opset8')
        others = ('Loop', 'If', 'TensorIterator', 'Nothing', 'extension', 'x' * 2000, '&#27;[31m')
        path.write_text(text.replace(f'"{rng.choice(kinds)}"', f'"{rng.choice(others)}"'))
    elif choice == 4:
        entity = f'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d SYSTEM "{traps.WAY}">]>'
        path.write_text(text.replace('<net', f'{entity}<net', 1).replace('brightness', '&d;'))
    else:
        depth = int(rng.choice([100, 100_000]))
        path.write_text(text.replace('</net>', '<a>' * depth + '</a>' * depth + '</net>'))


def use_openvino(folder: Path) -> None:
    use_artefact(folder / 'model.xml')
