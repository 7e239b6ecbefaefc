"""Fixtures that every room's tests may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trust.errors import CACHED, Recorder, unreached

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


# ---- errors: which of them the tests reach, and what they say (tests/trust/errors.py)

ERRORS = Recorder()
SAID: dict[str, list[str]] = {}


def pytest_configure() -> None:
    """Begin to write errors down."""
    ERRORS.start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what was said: a worker to the process that began it, and that to the cache."""
    _keep(ERRORS.by_site())
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["errors"] = SAID
        return
    if getattr(session.config, "cache", None):  # not with -p no:cacheprovider
        session.config.cache.set(CACHED, session.config.cache.get(CACHED, {}) | SAID)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the errors that the whole suite has not made."""
    for site in unreached(SAID) if _is_whole(config) else ():
        terminalreporter.write_line(f"no test makes the error at {site.file}:{site.first}: {site.code}", red=True)


def _is_whole(config: pytest.Config) -> bool:
    """Whether all tests were asked for."""
    chosen = ("keyword", "markexpr", "lf", "failedfirst", "deselect", "maxfail", "collectonly")
    return config.args_source == config.ArgsSource.TESTPATHS and not any(map(config.getoption, chosen))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """Take what a worker of pytest-xdist hands over."""
    _keep(getattr(node, "workeroutput", {}).get("errors", {}))


def _keep(said: dict[str, list[str]]) -> None:
    for site, messages in said.items():
        SAID.setdefault(site, []).extend(messages)
