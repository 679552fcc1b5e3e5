"""Lower layers never import higher ones, and heavy packages load only where they are used."""

import ast
import graphlib
import itertools
import subprocess
import sys

import pytest

from tests.conftest import ROOT, depends_on_jax

# Lower never imports higher. Packages of one layer may import each other, but not in a circle.
LAYERS = {
    'errors': 0,
    'process': 0,
    'config': 0,
    'images': 1,
    'networks': 1,
    'data': 1,
    'weights': 1,
    'checkpoints': 2,
    'importers': 2,
    'pruning': 2,
    'inference': 2,
    'training': 3,
    'evaluation': 3,
    'exporters': 4,
    'commands': 5,
    'scripts': 5,
    '__main__': 5,  # `python -m mattingjax`
    'mattingjax': 3,  # what the package itself exports
}
HEAVY = {
    'ai_edge_litert',
    'av',
    'nncf',
    'onnx',
    'onnxruntime',
    'openvino',
    'pyarrow',
    'pymatting',
    'ray',
    'tensorflow',
    'tf2onnx',
    'torch',
}
SOURCES = sorted(
    path
    for folder in ('mattingjax', 'exporters', 'scripts')
    for path in (ROOT / folder).rglob('*.py')
)


def imports(tree: ast.Module) -> list[str]:
    """Every module imported in the tree, at its top or inside functions.

    What follows `if __name__ == '__main__'` is left out: it is a script that stands in a module.
    """
    names = []
    program = "__name__ == '__main__'"
    statements = [
        node
        for node in tree.body
        if not isinstance(node, ast.If) or ast.unparse(node.test) != program
    ]
    for node in itertools.chain.from_iterable(map(ast.walk, statements)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'relative imports are not used here'
            names += [f'{node.module}.{alias.name}' for alias in node.names]
    return names


def component(module: str) -> str | None:
    parts = module.split('.')
    if parts[0] == 'mattingjax':
        return parts[1] if len(parts) > 1 and parts[1] in LAYERS else 'mattingjax'
    return parts[0] if parts[0] in LAYERS else None


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    own = component(module)
    assert own is not None
    assert own != 'mattingjax' or module == 'mattingjax.__init__', f'{path} belongs to no layer'
    for module in imports(ast.parse(path.read_text())):
        imported = component(module)
        if imported is not None:
            assert LAYERS[imported] <= LAYERS[own], f'{own} imports {module}'
            assert (own, imported) != ('inference', 'data')


def test_no_import_goes_in_a_circle():
    """Neither among packages nor among modules; graphlib names the circle."""
    modules = {
        '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'): path
        for path in SOURCES
    }
    packages: dict[str, set[str]] = {}
    graph = {}
    for module, path in modules.items():
        names = imports(ast.parse(path.read_text()))
        found = {name if name in modules else name.rpartition('.')[0] for name in names}
        graph[module] = (found & set(modules)) - {module}
        own = component(module)
        if own != 'mattingjax':
            others = {component(other) for other in graph[module]}
            packages.setdefault(own, set()).update(others - {own, 'mattingjax'})
    for edges in (graph, packages):
        assert list(graphlib.TopologicalSorter(edges).static_order())


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_are_imported_inside_functions(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    # Networks in PyTorch: nothing but a benchmark that asks for PyTorch imports them.
    allowed = {'torch'} if path.name == 'torch_networks.py' else set()
    for module in imports(tree):
        assert module.split('.')[0] not in HEAVY - allowed


def test_import_is_light():
    code = 'import mattingjax, sys; print(*sys.modules)'
    loaded = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    modules = {name.split('.')[0] for name in loaded.stdout.split()}
    light = {*HEAVY, 'jax', 'flax', 'orbax', 'ml_collections', 'scipy', 'numpy', 'absl'}
    light |= {'fastapi', 'pydantic', 'starlette', 'uvicorn', 'prometheus_client'}
    assert not modules & light


def test_no_public_name_loads_what_is_heavy():
    code = (
        'import mattingjax, sys\n'
        'for name in mattingjax.__all__: getattr(mattingjax, name)\n'
        'print(*sys.modules)'
    )
    loaded = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    modules = {name.split('.')[0] for name in loaded.stdout.split()}
    assert 'jax' in modules
    assert not modules & HEAVY


def test_the_server_alone_knows_its_packages():
    for path in SOURCES:
        if path.parent.name != 'serving':
            packages = {name.split('.')[0] for name in imports(ast.parse(path.read_text()))}
            assert not packages & {'fastapi', 'pydantic', 'starlette', 'uvicorn'}, path


def test_public_names_are_few_and_documented():
    import mattingjax

    assert len(mattingjax.__all__) <= 15
    assert all(getattr(mattingjax, name).__doc__ for name in mattingjax.__all__)


def test_what_depends_on_jax_is_found():
    tests = ROOT / 'tests'
    assert depends_on_jax(tests / 'training' / 'test_thinning.py')
    assert depends_on_jax(tests / 'data' / 'test_prefetch.py')  # it imports JAX
    assert not depends_on_jax(tests / 'data' / 'test_trimaps.py')
    assert depends_on_jax(tests / 'data' / 'test_trimaps.py', ['tmp_path', 'mmnet_path'])
    assert not depends_on_jax(tests / 'scripts' / 'test_paths.py', ['mmnet'])
