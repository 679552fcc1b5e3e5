"""What is frozen can be a key: equal objects have equal hashes, and no hash is an error."""

import dataclasses
import importlib
import pkgutil
import re

import pytest

import exporters
import mattingjax
from mattingjax.pruning import Limits, PruneOptions

# Words in the type of a field whose values cannot be hashed.
UNHASHABLE = re.compile(
    r'\b(dict|list|set|Mapping|Sequence|ndarray|Array|Any|Variables|ConfigDict|bytearray)\b'
)


def frozen_dataclasses():
    for package in (mattingjax, exporters):
        for info in pkgutil.walk_packages(package.__path__, f'{package.__name__}.'):
            if info.name.startswith(('mattingjax.commands', 'mattingjax.__main__')):
                continue  # each defines its flags, some of the same names
            try:
                module = importlib.import_module(info.name)
            except ImportError:  # of an extra that is not installed
                continue
            for member in vars(module).values():
                is_ours = isinstance(member, type) and member.__module__ == info.name
                # Flax's states are trees of arrays, which nobody takes for keys.
                if is_ours and dataclasses.is_dataclass(member) and member.__name__ != 'TrainState':
                    yield member


def test_no_field_of_the_hash_is_without_one():
    classes = [kind for kind in frozen_dataclasses() if kind.__dataclass_params__.frozen]
    assert len(classes) > 30
    for kind in classes:
        if not kind.__dataclass_params__.eq:
            assert kind.__hash__ is not None
            continue
        for field in dataclasses.fields(kind):
            is_hashed = field.compare if field.hash is None else field.hash
            if is_hashed and not str(field.type).startswith('Callable['):
                assert not UNHASHABLE.search(str(field.type)), f'{kind.__qualname__}.{field.name}'


@pytest.mark.parametrize(
    ('one', 'equal'),
    [
        (PruneOptions(ratio=0.5), PruneOptions(ratio=0.5)),
        (
            PruneOptions(ratio=0.5, group_ratios={'a': 0.25, 'b': 0.0}),
            PruneOptions(ratio=0.5, group_ratios={'b': 0.0, 'a': 0.25}),
        ),
        (Limits(ratios={'a': 0.5}), Limits(ratios={'a': 0.5})),
    ],
)
def test_equal_options_have_equal_hashes(one, equal):
    assert one == equal
    assert hash(one) == hash(equal)
