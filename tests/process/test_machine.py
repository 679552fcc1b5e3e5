import os
import platform

import numpy as np

from mattingjax.process.machine import describe_machine, format_machine, installed_versions


def test_the_machine_is_named():
    machine = describe_machine()
    assert str(machine['cpu']).strip()
    assert 1 <= int(machine['cores']) <= (os.cpu_count() or 1)
    assert format_machine({'cpu': 'a', 'cores': 1}) == 'a, 1 core'
    assert format_machine({'cpu': 'a', 'cores': 2}) == 'a, 2 cores'


def test_packages_that_are_not_there_have_no_version():
    assert installed_versions(['numpy', 'no-such-package']) == {
        'python': platform.python_version(),
        'numpy': np.__version__,
    }
