import subprocess
import sys

import pytest

import sorby


@pytest.mark.parametrize("name", sorby.__all__)
def test_what_is_public_is_there(name):
    assert getattr(sorby, name).__name__ == name


def test_importing_sorby_imports_no_torch():
    program = "import sys, sorby; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="steel"):
        _ = sorby.steel
