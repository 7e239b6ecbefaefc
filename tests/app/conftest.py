"""The explorer of tiny generators and data: called in this process, or served to a real browser."""

import asyncio
import os
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import uvicorn

from sorby.app.opened import open_all
from sorby.app.server import application
from sorby.data.dataset import Patch, write_dataset
from tests.data.made import texture
from tests.latent.tiny import SPACE, tiny

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CONDITIONS = ({"phase": "ferrite", "temperature": "800"}, {"phase": "pearlite", "temperature": "1000"})


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    """What is opened: a generator without conditions, one with, and a dataset of textures for both."""
    root = tmp_path_factory.mktemp("explorer")
    tiny().save(root / "plain")
    tiny(conditional=True).save(root / "steel")
    patches = [
        Patch(
            file=f"00000/{i:03d}.png",
            parent=f"p{i % 8}",
            split="held-out" if i % 8 == 7 else "train",
            pixel_size_um=0.25,
            conditions=CONDITIONS[i % 2],
        )
        for i in range(48)
    ]
    pictures = [texture(i, (32, 32), sigma=1.0 + i % 2) for i in range(48)]
    write_dataset(root / "data.zip", zip(patches, pictures, strict=True), space=SPACE, recipe={})
    return root


@pytest.fixture(scope="session")
def opened(places):
    return open_all([places / "plain", places / "steel", places / "data.zip"])


@contextmanager
def serving(app):
    """The address of `app`, served by a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def site(opened):
    with serving(application(opened)) as address:
        yield address


@pytest.fixture(scope="session")
def client(site):
    """A script that calls the API."""
    with httpx.Client(base_url=site, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; without it the test skips, saying so, or fails under CI, which installs it."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        missing = "no Chromium on this machine: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def a_page(browser, site):
    """A page of a user of its own, which must have asked no other host and said nothing on the console in the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page, said, elsewhere = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if is_here(request.url, site) else elsewhere.append(request.url))
    page.set_default_timeout(15_000)
    yield page
    context.close()
    # The browser itself notes a request that was refused, which the page tells in words.
    refused = "the server responded with a status of 422"
    assert [text for text in said if refused not in text] == []
    assert elsewhere == []


def in_a_loop(coroutine):
    """What it comes to, in a thread of its own: Playwright holds the loop of this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def is_here(url, site):
    return url.startswith((site, "data:", "blob:"))


@pytest.fixture
def page(browser, site):
    with a_page(browser, site) as page:
        yield page


def picture_shape(src):
    """Height and width of a `data:` PNG."""
    import base64
    from io import BytesIO

    from PIL import Image

    return np.asarray(Image.open(BytesIO(base64.b64decode(src.partition(",")[2])))).shape


def finished(client, key):
    """A job when it is over."""
    while (job := client.get(f"/api/jobs/{key}").json())["state"] in ("waiting", "running"):
        time.sleep(0.05)
    return job
