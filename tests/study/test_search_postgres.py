"""A search whose storage is a PostgreSQL server of its own, which is killed and comes back."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from sorby.errors import DataError
from sorby.study.search import run_search
from tests.evaluation.made import fields
from tests.study.crews import Here
from tests.study.searches import instant, search_of
from tests.study.test_search import scores

pytest.importorskip("pg8000", reason="pg8000 is not installed")


class Server:
    """A cluster in a folder, reached by a socket in it; PostgreSQL refuses to run as root."""

    def __init__(self, folder):
        self.folder, self.user = folder, "postgres" if os.getuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user)
        self.programs = programs()
        self.do("initdb", "--auth=trust", "--username=sorby", "--no-sync")

    @property
    def url(self):
        return f"postgresql+pg8000://sorby@/postgres?unix_sock={self.folder}/.s.PGSQL.5432"

    def do(self, program, *more):
        command = [self.programs / program, "--pgdata", self.folder / "data", *more]
        subprocess.run(command, user=self.user, cwd=self.folder, check=True, capture_output=True, timeout=60)

    def start(self):
        options = f"-F -c listen_addresses='' -c unix_socket_directories={self.folder}"
        self.do("pg_ctl", "start", "--wait", "--options", options, "--log", self.folder / "log")

    def kill(self):
        self.do("pg_ctl", "stop", "--mode=immediate")


def programs():
    """The folder of initdb, which Debian keeps off the path; none where there is no PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else found[-1].parent if found else None


@pytest.fixture
def server():
    if programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # sockets need a short path, and its user a way there
        Path(folder).chmod(0o755)
        server = Server(Path(folder))
        server.start()
        yield server
        server.kill()


def test_a_search_whose_server_is_killed_goes_on_once_it_is_back(server, tmp_path, monkeypatch):
    monkeypatch.setattr("sorby.study.work.train", instant)
    monkeypatch.setattr("sorby.study.search.figure_of", lambda _: b"")
    data = fields(tmp_path / "real.zip", seed=0, size=32)
    plan, out, begun = search_of(data, tmp_path / "file", trials=5), tmp_path / "out", []

    class Unlucky(Here):
        def start(self, name):
            begun.append(name)
            super().start(name)
            if name in ("trial-001-seed-0", "trial-003-seed-0"):
                server.kill()
            if name == "trial-001-seed-0":
                server.start()

    with pytest.raises(DataError, match=r"postgresql\+pg8000://sorby@/postgres.* does not answer or is full"):
        run_search(plan, out, Unlucky, storage=server.url)
    assert len(begun) == 4  # a server that was restarted while a trial ran is not noticed
    with pytest.raises(DataError, match="does not answer or is full"):
        run_search(plan, out, Unlucky, storage=server.url)
    server.start()
    assert run_search(plan, out, Unlucky, storage=server.url) == []
    assert begun == [f"trial-00{number}-seed-0" for number in range(5)]
    assert not (out / "search.db").exists()
    assert run_search(plan, tmp_path / "undisturbed", Here) == []
    assert scores(out) == scores(tmp_path / "undisturbed")
