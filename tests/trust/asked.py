"""What a script asks of the explorer, as a command: serves a generator and data, and writes the answers into a folder.

python -m tests.trust.asked DATASET OUT
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sorby.atomic import new_folder

ASKED = {
    "pictures.json": "/api/generators/uhcs-64/pictures?seeds=0-7",
    "picture.tif": "/api/generators/uhcs-64/picture.tif?seed=9&truncation=0.7",
    "sides.json": "/api/datasets/{data}/sides",
    "beside.json": "/api/generators/uhcs-64/beside?dataset={data}&side=held-out",
}


@contextmanager
def served(data: Path) -> Iterator[str]:
    """Address of an explorer that runs as its own process."""
    words = [sys.executable, "-m", "sorby", "serve", "uhcs-64", str(data), "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        yield server.stdout.readline().split()[3]
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Ask, and write what came."""
    data, out = map(Path, sys.argv[1:])
    with served(data) as address, httpx.Client(base_url=address, timeout=120) as client, new_folder(out) as folder:
        for name, query in ASKED.items():
            answer = client.get(query.format(data=data.name))
            answer.raise_for_status()
            (folder / name).write_bytes(answer.content)


if __name__ == "__main__":
    main()
