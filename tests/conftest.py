"""Fixtures that every room's tests may use."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real micrographs beside the checkout; the test skips, saying so, where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real micrographs at {SHARED_DATA}")
    return SHARED_DATA
