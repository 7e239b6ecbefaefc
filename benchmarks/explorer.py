"""How fast the explorer is: the first picture after the page opens, and the answer to a slider.

    python benchmarks/explorer.py
    python benchmarks/explorer.py uhcs-64 uhcs-128 --users 1 8 --rounds 10

`sorby serve` is a process of its own, and a real Chromium opens the page afresh for each round. The time of a slider is
from the key that moves it until the picture of the new seed is shown. Further users ask for pictures of other seeds
without a pause, one after the other each.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from bench import machine, spread
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOWN = "Generated micrograph, seed {}"


def main() -> None:
    """A row of a table for each generator and number of users."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generators", nargs="*", default=["uhcs-64", "uhcs-128"])
    parser.add_argument("--users", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    print(f"{machine()}; {args.threads} threads; load before {os.getloadavg()[0]:.1f}; {args.rounds} rounds\n")
    print("| generator | users | first picture, s | slider, ms | of it the API, ms | all users, pictures/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in args.generators:
        with served(name, args.threads) as site, sync_playwright() as started:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for users in args.users:
                with asking(site, name, users - 1) as count:
                    begun, before = time.perf_counter(), sum(count)
                    first, slider, api = zip(*(one_round(browser, site, name) for _ in range(args.rounds)), strict=True)
                    others = (sum(count) - before) / (time.perf_counter() - begun)
                rate = f"{others:.1f}" if users > 1 else ""
                print(
                    f"| {name} | {users} | {spread(first)} | {spread(slider, 0)} | {spread(api, 0)} | {rate} |",
                    flush=True,
                )
            browser.close()


def one_round(browser, site: str, name: str) -> tuple[float, float, float]:
    """Seconds to the first picture of a page that opens; milliseconds of a slider; and of its request alone."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(site)
    shown(page, 0)
    first = time.perf_counter() - begun
    page.get_by_role("slider", name="Seed").first.focus()
    found = []
    for seed in (1, 2, 3):
        begun = time.perf_counter()
        page.keyboard.press("ArrowRight")
        shown(page, seed)
        found.append(1000 * (time.perf_counter() - begun))
    context.close()
    begun = time.perf_counter()
    httpx.get(f"{site}/api/generators/{name}/pictures", params={"seeds": 4}, timeout=60).raise_for_status()
    return first, statistics.median(found), 1000 * (time.perf_counter() - begun)


def shown(page: Page, seed: int) -> None:
    """Wait until the picture of a seed is in the page."""
    page.locator("figure img").and_(page.get_by_alt_text(re.compile(f"^{SHOWN.format(seed)}(,|$)"))).wait_for()


@contextmanager
def served(name: str, threads: int) -> Iterator[str]:
    """The address of `sorby serve` of a generator."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "sorby", "serve", name, "--port", "0", "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process.stdout.readline().split()[3]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def asking(site: str, name: str, num: int) -> Iterator[list[int]]:
    """So many users who ask without a pause; gives how many pictures each has got."""
    count, stop = [0] * max(num, 1), threading.Event()

    def user(place: int) -> None:
        with httpx.Client(base_url=site, timeout=60) as client:
            while not stop.is_set():
                seed = 1000 * (place + 1) + count[place]
                client.get(f"/api/generators/{name}/pictures", params={"seeds": seed}).raise_for_status()
                count[place] += 1

    users = [threading.Thread(target=user, args=(place,)) for place in range(num)]
    for one in users:
        one.start()
    try:
        yield count
    finally:
        stop.set()
        for one in users:
            one.join()


if __name__ == "__main__":
    main()
