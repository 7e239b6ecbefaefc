"""Many users at once: nobody gets what another asked for, and nobody waits for what nobody wants any more."""

import asyncio
import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from sorby.app import desk as desk_module
from sorby.app.desk import KEPT_JOBS, MOST_WAITING, CancelledError, Desk, GoneError, Job
from sorby.app.opened import Opened
from sorby.app.server import application
from sorby.errors import ConfigError, DataError
from sorby.generator import Generator
from sorby.micrograph import decode_micrograph
from tests.app.conftest import a_page, in_a_loop, serving

BUG = "This is a bug of Sorby; the terminal has its traceback."


def until(is_so, seconds=10.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def over(job):
    until(lambda: job.is_over)
    return job.state


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.close()


class Slow:
    """Work in 500 steps that counts how far it came, and leaves a file halfway."""

    def __init__(self):
        self.steps = 0

    def __call__(self, job):
        for step in range(500):
            job.report(step, 500)
            job.files["half.png"] = b"half"
            self.steps += 1
            time.sleep(0.01)
        return {"steps": self.steps}


def test_sixteen_users_at_once_each_get_the_pictures_of_their_own_seeds(site, opened):
    # Each alone, as the site draws them: among others they are the same up to rounding.
    expected = {name: [opened.generator(name).images([seed])[0] for seed in range(16)] for name in ("plain", "steel")}

    def user(number):
        name = ("plain", "steel")[number % 2]
        with httpx.Client(base_url=site, timeout=60) as client:
            for seed in (number, 15 - number, number):
                answer = client.get(f"/api/generators/{name}/pictures", params={"seeds": seed}).json()
                (shown,) = answer["pictures"]
                assert shown["seed"] == seed
                data = base64.b64decode(shown["png"].partition(",")[2])
                grey = decode_micrograph(data, name="a.png").grey
                np.testing.assert_array_equal(grey, expected[name][seed][0])

    with ThreadPoolExecutor(16) as users:
        for done in [users.submit(user, number) for number in range(16)]:
            done.result()


class Request:
    """One that was given up, or not."""

    def __init__(self):
        self.is_gone = False

    async def is_disconnected(self):
        return self.is_gone


def test_an_answer_that_nobody_waits_for_is_not_computed(desk):
    computed, held = [], threading.Event()

    async def many():
        first = asyncio.ensure_future(desk.answer(Request(), held.wait))
        requests = [Request() for _ in range(10)]
        answers = [
            asyncio.ensure_future(desk.answer(request, lambda i=i: computed.append(i)))
            for i, request in enumerate(requests)
        ]
        await asyncio.sleep(0.05)
        for request in requests[:9]:
            request.is_gone = True
        found = await asyncio.gather(*answers[:9], return_exceptions=True)
        assert all(isinstance(one, GoneError) for one in found)
        held.set()
        await asyncio.gather(first, answers[9])

    in_a_loop(many())
    assert computed == [9]


@pytest.fixture
def held_drawing(opened, monkeypatch):
    """Seeds of each batch that is begun, and what lets all be drawn."""
    generator, begun, go_on = opened.generator("plain"), [], threading.Event()
    images = generator.images

    def counted(seeds, **more):
        begun.append(list(seeds))
        go_on.wait(10)
        return images(seeds, **more)

    monkeypatch.setattr(generator, "images", counted)
    return begun, go_on


def test_a_person_who_moves_on_leaves_no_work_behind(site, held_drawing):
    """Over the wire: eight requests that are closed while another is drawn are not drawn."""
    begun, go_on = held_drawing
    path = f"{site}/api/generators/plain/pictures"

    async def users():
        async with httpx.AsyncClient(timeout=30) as client:
            first = asyncio.ensure_future(client.get(path, params={"seeds": 100}))
            while not begun:
                await asyncio.sleep(0.01)
            others = [asyncio.ensure_future(client.get(path, params={"seeds": seed})) for seed in range(8)]
            await asyncio.sleep(0.3)
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.5)
            go_on.set()
            assert (await first).status_code == 200
            assert (await client.get(path, params={"seeds": 200})).status_code == 200

    in_a_loop(users())
    assert begun == [[100], [200]]


def test_an_answer_that_is_given_up_halfway_is_not_drawn_to_its_end(site, held_drawing, monkeypatch):
    begun, go_on = held_drawing
    monkeypatch.setattr(Generator, "num_at_once", 4)
    path = f"{site}/api/generators/plain/pictures"

    async def user():
        async with httpx.AsyncClient(timeout=30) as client:
            first = asyncio.ensure_future(client.get(path, params={"seeds": "0-63"}))
            while not begun:
                await asyncio.sleep(0.01)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await asyncio.sleep(0.5)
            go_on.set()
            assert (await client.get(path, params={"seeds": 99})).status_code == 200

    in_a_loop(user())
    assert begun == [[0, 1, 2, 3], [99]]


def test_a_job_that_nobody_asks_after_stops(desk, monkeypatch):
    monkeypatch.setattr(desk_module, "ABANDONED_S", 0.3)
    lost, watched = Slow(), Slow()
    job = desk.start(lost)
    assert over(job) == "cancelled"
    assert lost.steps < 100
    other = desk.start(watched)
    for _ in range(12):
        time.sleep(0.05)
        desk.job(other.key)
    assert other.state == "running"


def test_more_answers_than_can_be_waited_for_are_refused(desk, monkeypatch):
    monkeypatch.setattr(desk_module, "MOST_ASKED", 3)
    held = threading.Event()

    async def many():
        waiting = [asyncio.ensure_future(desk.answer(Request(), held.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ConfigError, match="3 requests are waiting already: try again"):
            await desk.answer(Request(), int)
        held.set()
        await asyncio.gather(*waiting)
        assert await desk.answer(Request(), lambda: 7) == 7

    in_a_loop(many())


def test_what_an_answer_raises_is_raised_to_who_asked_and_to_nobody_else(desk):
    def fails():
        raise DataError("mine")

    async def both():
        return await asyncio.gather(
            desk.answer(Request(), fails), desk.answer(Request(), lambda: 1), return_exceptions=True
        )

    error, found = in_a_loop(both())
    assert isinstance(error, DataError)
    assert found == 1


def test_a_cancelled_job_stops_and_leaves_no_file(desk):
    work = Slow()
    job = desk.start(work)
    until(lambda: job.files)
    desk.cancel(job.key)
    assert over(job) == "cancelled"
    steps = work.steps
    time.sleep(0.05)
    assert work.steps == steps < 500
    assert (job.files, job.result, job.held) == ({}, {}, None)


def test_a_job_that_is_cancelled_while_it_waits_is_over_at_once_and_never_begins(desk):
    first, began = desk.start(Slow()), []
    second = desk.start(lambda _: began.append(1) or {})
    desk.cancel(second.key)
    assert second.state == "cancelled"
    desk.cancel(first.key)
    third = desk.start(lambda _: {"x": 1})
    assert over(third) == "finished"
    assert not began


def test_a_job_that_is_cancelled_in_its_last_step_is_cancelled(desk):
    ready, go_on = threading.Event(), threading.Event()

    def work(job):
        job.files["a.png"] = b"a"
        ready.set()
        go_on.wait(10)
        return {"late": True}

    job = desk.start(work)
    ready.wait(10)
    desk.cancel(job.key)
    go_on.set()
    assert over(job) == "cancelled"
    assert (job.files, job.result) == ({}, {})


def test_cancelling_and_beginning_race_to_one_of_two_ends(desk):
    """A hundred jobs cancelled as they begin: each was done, or was cancelled and left nothing."""
    for _ in range(100):
        job = desk.start(lambda job: job.files.update(a=b"a") or {"x": 1})
        desk.cancel(job.key)
        assert over(job) in ("finished", "cancelled")
        assert job.result == ({"x": 1} if job.state == "finished" else {})
        assert job.files == ({"a": b"a"} if job.state == "finished" else {})


def test_a_finished_job_stays_where_it_is_cancelled(desk):
    job = desk.start(lambda _: {"x": 1})
    over(job)
    desk.cancel(job.key)
    assert (desk.job(job.key).state, job.result) == ("finished", {"x": 1})


def test_a_job_that_fails_says_why_and_one_that_fails_by_a_bug_prints_its_traceback(desk, capfd):
    def user_error(job):
        job.files["a.png"] = b"a"
        raise DataError("the picture is too small")

    def bug(job):
        raise ZeroDivisionError("inside")

    told = desk.start(user_error)
    assert (over(told), told.error, told.files) == ("failed", "the picture is too small", {})
    assert "Traceback" not in capfd.readouterr().err
    broken = desk.start(bug)
    assert (over(broken), broken.error) == ("failed", BUG)
    assert "ZeroDivisionError: inside" in capfd.readouterr().err
    assert over(desk.start(lambda _: {})) == "finished"  # and the next is done


def test_more_jobs_than_can_wait_are_refused_until_some_are_done(desk):
    jobs = [desk.start(Slow()) for _ in range(MOST_WAITING)]
    with pytest.raises(ConfigError, match="16 jobs are waiting already: try again when some are done"):
        desk.start(Slow())
    desk.cancel(jobs[-1].key)
    desk.start(Slow())


def test_old_jobs_are_forgotten_those_first_that_nobody_asked_for(desk):
    kept = desk.start(lambda _: {})
    jobs = []
    for _ in range(3 * KEPT_JOBS):
        jobs.append(desk.start(lambda _: {}))
        over(jobs[-1])
        desk.job(kept.key)
    assert len(desk._jobs) <= KEPT_JOBS
    assert desk.job(kept.key) is kept
    with pytest.raises(ConfigError, match="forgotten"):
        desk.job(jobs[0].key)


def test_files_of_old_jobs_are_kept_up_to_a_size(desk, monkeypatch):
    monkeypatch.setattr(desk_module, "KEPT_BYTES", 10_000)
    jobs = []
    for _ in range(10):
        jobs.append(desk.start(lambda job: job.files.update({"film.mp4": bytes(4000)}) or {}))
        over(jobs[-1])
        assert sum(job.size for job in desk._jobs.values()) <= 10_000
    assert list(desk._jobs) == [job.key for job in jobs[-2:]]
    large = desk.start(lambda job: job.files.update({"film.mp4": bytes(50_000)}) or {})
    over(large)
    assert desk.job(large.key).size == 50_000  # what was just made can be fetched, however large


def test_a_running_job_is_never_forgotten(desk, monkeypatch):
    monkeypatch.setattr(desk_module, "KEPT_JOBS", 1)
    jobs = [desk.start(Slow()) for _ in range(5)]
    assert all(desk.job(job.key) is job for job in jobs)


def test_a_key_cannot_be_guessed(desk):
    keys = {desk.start(lambda _: {}).key for _ in range(10)}
    assert len(keys) == 10
    assert all(len(base64.urlsafe_b64decode(key + "==")) == 16 for key in keys)  # 128 bits


def test_keys_are_told_nowhere_but_to_who_began_the_job(site, client):
    asked = {"stops": [{"seed": 0}, {"seed": 1}], "frames": 2, "format": "gif"}
    key = client.post("/api/generators/plain/walk/film", json=asked).json()["key"]
    for path in ("/api/opened", "/openapi.json", "/api/jobs", "/api/jobs/", "/"):
        assert key not in client.get(path).text
    assert "not known" in client.get(f"/api/jobs/{key[:-1]}").json()["error"]
    until(lambda: client.get(f"/api/jobs/{key}").json()["state"] == "finished", seconds=60)


def test_a_film_that_was_cancelled_is_not_there(client):
    asked = {"stops": [{"seed": 0}, {"seed": 1}], "frames": 2000, "format": "gif"}
    key = client.post("/api/generators/plain/walk/film", json=asked).json()["key"]
    until(lambda: client.get(f"/api/jobs/{key}").json()["done"] > 0, seconds=30)
    client.delete(f"/api/jobs/{key}")
    until(lambda: client.get(f"/api/jobs/{key}").json()["state"] == "cancelled")
    told = client.get(f"/api/jobs/{key}").json()
    assert (told["files"], told["result"]) == ([], {})
    assert "no file" in client.get(f"/api/jobs/{key}/walk.gif").json()["error"]


def test_the_explorer_ends_quickly_while_a_job_runs_and_answers_are_waited_for():
    app, work = application(Opened()), Slow()
    with serving(app):
        job = app.state.desk.start(work)
        waiting = app.state.desk.start(work)
        until(lambda: work.steps)
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
    assert over(job) == "cancelled"
    assert waiting.state in ("waiting", "cancelled")
    assert work.steps < 500


def test_a_job_is_told_to_stop_by_its_next_report():
    job = Job("key")
    job.report(1, 2)
    job.stop.set()
    with pytest.raises(CancelledError):
        job.report(2, 2)


def test_two_browsers_at_once_with_different_generators_do_not_cross(browser, site):
    """Each moves its seed while the other does; in the end each shows its own generator, seed and condition."""
    with a_page(browser, site) as one, a_page(browser, site) as other:
        for page in (one, other):
            page.goto(site)
        other.get_by_label("Generator", exact=True).first.select_option("steel")
        for seed in range(1, 6):
            for page, shift in ((one, 0), (other, 50)):
                page.get_by_role("spinbutton", name="Seed", exact=True).first.fill(str(seed + shift))
                page.keyboard.press("Enter")
        one.get_by_role("img", name="Generated micrograph, seed 5", exact=True).wait_for()
        other.get_by_role("img", name="Generated micrograph, seed 55, phase ferrite, temperature 900 °C").wait_for()
        sources = [page.locator("#generate figure img").first.get_attribute("src") for page in (one, other)]
        with httpx.Client(base_url=site, timeout=60) as client:
            steel = {"seeds": 55, "condition": ["phase=ferrite", "temperature=900"]}
            for src, name, query in zip(sources, ("plain", "steel"), ({"seeds": 5}, steel), strict=True):
                answer = client.get(f"/api/generators/{name}/pictures", params=query).json()
                np.testing.assert_array_equal(grey_of(src), grey_of(answer["pictures"][0]["png"]))


def grey_of(src):
    return decode_micrograph(base64.b64decode(src.partition(",")[2]), name="a.png").grey
