"""A hub of the Hugging Face kind on this machine, as far as fetching and pushing small files goes."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Repositories by name, each of files by name."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.sizes: dict[str, int] = {}
        """Told in place of the true ones."""
        self.asked: list[str] = []
        self.created: list[dict[str, object]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        kind, *rest = PurePosixPath(path).parts[1:]
        if kind == "api" and rest[0] == "models":
            self.model("/".join(rest[1:3]), rest[3:])
        elif "/".join([kind, rest[0]]) in self.server.repos and rest[1] == "resolve":
            self.file(self.server.repos["/".join([kind, rest[0]])].get("/".join(rest[3:])))
        else:
            self.nothing()

    def model(self, name: str, rest: list[str]) -> None:
        files = self.server.repos.get(name)
        if files is None:
            self.nothing()
            return
        sizes = {file: self.server.sizes.get(file, len(data)) for file, data in files.items()}
        if rest[:1] == ["tree"]:
            self.answer(
                [{"type": "file", "path": file, "size": sizes[file], "oid": oid_of(files[file])} for file in files]
            )
        else:
            siblings = [
                {"rfilename": file, "size": size, "blobId": oid_of(files[file])} for file, size in sizes.items()
            ]
            self.answer({"id": name, "modelId": name, "sha": COMMIT, "tags": [], "siblings": siblings})

    def file(self, data: bytes | None) -> None:
        if data is None:
            self.nothing("EntryNotFound")
            return
        self.send_response(200)
        for key, value in (("X-Repo-Commit", COMMIT), ("ETag", f'"{oid_of(data)}"'), ("Content-Length", len(data))):
            self.send_header(key, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = PurePosixPath(self.path.partition("?")[0]).parts[2:]
        self.server.asked.append(f"POST {self.path}")
        if self.headers.get("Authorization") != "Bearer good":
            self.answer({"error": "Invalid username or password."}, 401)
        elif parts == ("validate-yaml",):
            self.answer({"errors": [], "warnings": []})
        elif parts == ("repos", "create"):
            asked = json.loads(body)
            self.server.created.append(asked)
            name = f"{asked['organization']}/{asked['name']}"
            self.server.repos.setdefault(name, {})
            self.answer({"url": f"{self.server.address}/{name}", "id": name})
        elif parts[3] == "preupload":
            files = json.loads(body)["files"]
            self.answer({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif parts[3] == "commit":
            name = "/".join(parts[1:3])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.server.repos[name][value["path"]] = base64.b64decode(value["content"])
            self.answer({"commitUrl": f"{self.server.address}/{name}/commit/{COMMIT}", "commitOid": COMMIT})

    def answer(self, value: object, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def nothing(self, code: str = "RepoNotFound") -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", "Repository not found" if code == "RepoNotFound" else "Entry not found")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def oid_of(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


@contextmanager
def as_the_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Hub]:
    """A hub that huggingface_hub takes for the hub, with its cache and its token in `folder`."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with running() as server:
        template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server
