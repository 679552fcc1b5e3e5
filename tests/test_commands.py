"""Every command in the documentation and in headers parses: its flags and files exist."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.forked import run_script

_DOCUMENTS = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *(ROOT / name / 'README.md' for name in ('mattingjax', 'configs', 'scripts', 'exporters')),
    *sorted((ROOT / 'mattingjax' / 'weights').glob('*/README.md')),
    *sorted((ROOT / 'configs').glob('*.py')),
    *sorted((ROOT / 'mattingjax' / 'commands').rglob('*.py')),
    *sorted((ROOT / 'scripts').glob('*.py')),
    *sorted((ROOT / 'exporters').rglob('*.py')),
    *sorted((ROOT / 'exporters' / 'ascend').rglob('*.md')),
]
_COMMAND = re.compile(
    r'^[ >`$]*(?:\w+=\S+ )*'
    r'(?:python (?:-m )?(scripts/\S+\.py|exporters\.\w+)|(mattingjax [a-z][\w-]*))(.*)$',
    re.M,
)

_TAKE_PATHS = ('mattingjax predict', 'mattingjax video', 'scripts/predict.py')


def commands() -> list[tuple[str, str, str]]:
    """(document, script, arguments) of every command; lines that go on are joined."""
    found = []
    for path in _DOCUMENTS:
        text = re.sub(r'\\+\n *', ' ', path.read_text(encoding='utf-8'))
        for script, command, rest in _COMMAND.findall(text):
            arguments = re.split(r' [|>&;#]|`|\)$', rest)[0]
            found.append((str(path.relative_to(ROOT)), script or command, arguments))
    return found


@pytest.fixture(scope='module')
def flags_of():
    """The flags of a script or command, by its --helpfull; of bins, of one verb."""
    known: dict[str, str] = {}

    def flags_of(script: str) -> set[str]:
        if script not in known:
            name, *words = script.split()
            process = run_script(str(ROOT / name) if '/' in name else name, *words, '--helpfull')
            assert process.returncode == 0, process.stderr.decode()
            known[script] = process.stdout.decode()
        names = re.findall(r'^ +-(?:\w,)?-(\[no\])?(\w[\w.]*):', known[script], re.M)
        return {name for _, name in names} | {f'no{name}' for no, name in names if no}

    return flags_of


def test_there_are_many():
    assert len(commands()) > 100
    documents = {document for document, _, _ in commands()}
    assert {str(path.relative_to(ROOT)) for path in _DOCUMENTS if path.name == 'README.md'} - {
        'exporters/ascend/templates/README.md'
    } <= documents
    assert len({script for _, script, _ in commands()}) > 12


@pytest.mark.parametrize(
    ('document', 'script', 'arguments'),
    [
        pytest.param(*command, id=f'{command[0]}-{number}')
        for number, command in enumerate(sorted(set(commands())))
    ],
)
def test_a_documented_command(flags_of, document, script, arguments):
    words = shlex.split(arguments)
    if script in ('exporters.bins', 'mattingjax bins') and words:
        verb, *words = words
        script = f'{script} {verb}'
    elif script == 'mattingjax bins':
        return  # in words
    known, is_value = flags_of(script), False
    for word, following in itertools.zip_longest(words, words[1:]):
        if word == '...':  # and so on, in words
            break
        if is_value or word == '<' or word.startswith('$'):  # a variable of the shell
            is_value = word == '<'
            continue
        if not word.startswith('--') and script in _TAKE_PATHS:
            continue
        assert word.startswith('--'), f'{word}: a value without a flag'
        name, equals, value = word[2:].partition('=')
        if name in ('help', 'helpfull', 'verbosity'):
            continue
        if name.startswith('config.'):
            assert 'config' in known
            continue  # the settings' names are checked by the tests of the configs
        assert name in known, f'--{name}: {script} has no such flag'
        is_value = not equals and following is not None and not following.startswith('--')
        if name == 'config':
            file = (value or following or '').partition(':')[0]
            placeholder = re.fullmatch('[A-Z_.]+', file)
            assert placeholder or (ROOT / file).is_file() or _is_named(file), (
                f'{file}: no such file'
            )


def _is_named(file: str) -> bool:
    return Path(ROOT / 'configs' / f'{file}.py').is_file()


@pytest.mark.parametrize('path', _DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_gap_was_left_to_fill(path):
    assert not re.search(r'@@|\bTODO\b|\bTBD\b|\bXXX\b', path.read_text(encoding='utf-8'))
