"""Fixtures that every room's tests may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither find nor leave features in the cache of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SORBY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real micrographs beside the checkout; the test skips, saying so, where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real micrographs at {SHARED_DATA}")
    return SHARED_DATA
