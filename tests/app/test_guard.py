"""Who may ask, and for what: no other site, nobody without the password, and nothing that was not opened."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sorby.app import guard
from sorby.app.opened import Opened, open_all
from sorby.app.server import STATIC, application
from sorby.cli import app as sorby
from sorby.config import resolve, to_toml
from tests.app.conftest import in_a_loop, serving

PASSWORD = "Gefüge 42"
SECRET = "what was never opened"
BUG = "This is a bug of Sorby; the terminal has its traceback."


class Asked:
    """Requests to an application in this process, of any host name."""

    def __init__(self, app, base_url="http://127.0.0.1:7860", *, raises=True):
        self.transport, self.base_url = httpx.ASGITransport(app, raise_app_exceptions=raises), base_url

    def request(self, method, path, **more):
        async def ask():
            async with httpx.AsyncClient(transport=self.transport, base_url=self.base_url) as client:
                return await client.request(method, path, **more)

        return in_a_loop(ask())

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)


@pytest.fixture(scope="module")
def local():
    return Asked(application(Opened()), base_url="http://127.0.0.1:7860")


@pytest.fixture(scope="module")
def guarded():
    return Asked(application(Opened(), host="0.0.0.0", password=PASSWORD), base_url="http://machine:7860")


def basic(text, scheme="Basic"):
    return {"Authorization": f"{scheme} {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "localhost:1", "[::1]:7860"])
def test_this_machine_is_answered_by_its_own_names(local, host):
    assert local.get("/api/opened", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7860", "127.0.0.1@evil.example", "", "[::2]"],
)
def test_another_name_for_this_machine_is_refused_since_another_site_may_have_given_it(local, host):
    answer = local.get("/api/opened", headers={"Host": host})
    assert answer.status_code == 403
    assert "127.0.0.1" in answer.json()["error"]


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "GET"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_may_ask_nothing(local, method, site):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert local.request(method, "/api/jobs/x", headers=headers).status_code == 403


def test_a_link_from_another_site_opens_the_page_and_a_form_starts_nothing(local):
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert local.get("/", headers=followed).status_code == 200
    assert local.post("/", headers=followed).status_code == 403
    assert local.get("/", headers=followed | {"Sec-Fetch-Dest": "iframe"}).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_itself_may_ask(local, site):
    assert local.delete("/api/jobs/x", headers={"Sec-Fetch-Site": site}).status_code == 422


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://machine:7860", 422),
        ("http://evil.example", 403),
        ("http://machine:7861", 403),
        ("null", 403),
        (None, 422),
    ],
)
def test_where_a_browser_tells_no_site_its_origin_has_to_be_this_one(guarded, origin, status):
    headers = basic(f"x:{PASSWORD}") | ({"Origin": origin} if origin else {})
    assert guarded.delete("/api/jobs/x", headers=headers).status_code == status


@pytest.mark.parametrize("name", ["", "anybody", "Änne"])
def test_the_password_opens_whoever_comes(guarded, name):
    assert guarded.get("/api/opened", headers=basic(f"{name}:{PASSWORD}")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("x:wrong"),
        basic(f"x:{PASSWORD}x"),
        basic(f"x:{PASSWORD[:-1]}"),
        basic(PASSWORD),
        basic("x:"),
        basic(f"x:{PASSWORD}", scheme="Bearer"),
        {"Authorization": "Basic"},
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic " + base64.b64encode(b"x:\xff\xfe").decode()},
        {"Authorization": f"Basic x:{PASSWORD}".encode()},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/", "/api/opened", "/openapi.json", "/reports/x", "/page.js"])
def test_without_the_password_nothing_at_all_is_told(guarded, headers, path):
    answer = guarded.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="Sorby", charset="UTF-8"'
    assert answer.json() == {"error": "Password?"}


def test_passwords_are_compared_in_constant_time(guarded, monkeypatch):
    compared = []
    monkeypatch.setattr(guard.secrets, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    guarded.get("/", headers=basic("x:wrong"))
    assert compared == [(b"wrong", PASSWORD.encode())]


def test_a_password_that_is_no_utf8_is_compared_and_not_a_bug():
    client = Asked(application(Opened(), host="0.0.0.0", password=os.fsdecode(b"\xff")), base_url="http://m")
    assert client.get("/", headers=basic("x:y")).status_code == 401


def check_headers(answer):
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/api/opened", {}, 200),
        ("GET", "/nothing", {}, 404),
        ("POST", "/api/opened", {}, 405),
        ("GET", "/api/jobs/x", {}, 422),
        ("GET", "/", {"Host": "evil.example"}, 403),
        ("POST", "/", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", "/", {"Content-Length": "999999999999"}, 413),
    ],
)
def test_every_answer_tells_the_browser_what_it_may_do(local, method, path, headers, status):
    answer = local.request(method, path, headers=headers)
    assert answer.status_code == status
    check_headers(answer)
    if status >= 400:
        assert len(answer.json()["error"].splitlines()) == 1


def test_a_bug_is_told_in_one_line_with_the_same_headers_and_its_traceback_is_kept():
    app = application(Opened())

    @app.get("/api/bug")
    def bug():
        raise ZeroDivisionError("inside")

    app.router.routes.insert(0, app.router.routes.pop())  # before the static files
    answer = Asked(app, base_url="http://127.0.0.1", raises=False).get("/api/bug")
    assert answer.status_code == 500
    assert answer.json() == {"error": BUG}
    check_headers(answer)
    with pytest.raises(ZeroDivisionError):
        Asked(app, base_url="http://127.0.0.1").get("/api/bug")


def test_a_body_is_refused_by_the_length_it_declares_and_by_the_length_it_has(monkeypatch, opened):
    monkeypatch.setattr(guard, "MOST_BODY", 10_000)
    client = Asked(application(opened), base_url="http://127.0.0.1")
    path = "/api/generators/plain/walk/picture"
    assert client.post(path, content=b"x" * 10_001).status_code == 413
    answer = client.post(path, content=in_parts(b"x" * 1000, 11))  # no length is declared
    assert answer.status_code == 413
    assert "which is the most" in answer.json()["error"]
    assert client.post(path, content=b"x" * 10_000).status_code == 422


async def in_parts(part, num):
    for _ in range(num):
        yield part


@pytest.fixture(scope="module")
def secret(places):
    """Files of that text beside, above and by links inside of what was opened; and the explorer of it all."""
    root = places / "opened"
    root.mkdir()
    (root / "secret.png").write_text(SECRET)
    (root / "secret.svg").write_text(SECRET)
    (root / "secret.html").write_text(SECRET)
    run = root / "run"
    for folder in ("samples", "logs"):
        (run / folder).mkdir(parents=True)
        for suffix in ("png", "log"):
            (run / folder / f"link.{suffix}").symlink_to(root / "secret.png")
    (run / "config.toml").write_text(to_toml(resolve("demo")))
    (run / "report.html").symlink_to(root / "secret.html")
    (run / "link.svg").symlink_to(root / "secret.svg")
    (run / "up").symlink_to(root)
    study = root / "study"
    (study / "logs").mkdir(parents=True)
    (study / "study.toml").write_text('dataset = "none.zip"\npreset = "demo"\n')
    (study / "logs" / "link.log").symlink_to(root / "secret.png")
    (study / "results.md").symlink_to(root / "secret.png")
    (study / "up").symlink_to(root)
    app = application(open_all([places / "plain", places / "steel", places / "data.zip", run, study]))
    return app, Asked(app, base_url="http://127.0.0.1", raises=False)


def get_paths(app):
    return sorted(path for path, how in app.openapi()["paths"].items() if "get" in how and "{" in path)


def test_every_kind_of_route_with_a_name_in_it_is_tried_below(secret):
    paths = get_paths(secret[0])
    assert len(paths) >= 10
    assert {"/reports/{name}", "/api/jobs/{key}/{file}", "/api/runs/{name}/samples/{file}"} <= set(paths)


HOSTILE = (
    "..",
    ".",
    "/",
    "\\",
    "%2e%2e",
    "%2f",
    "%252e%252e%252f",
    "\0",
    "~",
    "C:",
    "file://",
    "\n",
    "\u202e",
    " ",
    "ü",
)
NAMED = "etc passwd secret.png secret.svg link.png link.svg link.log samples report.html up study run plain results.md"
PARTS = [*HOSTILE, *NAMED.split()]
NAMES = st.lists(
    st.sampled_from(PARTS) | st.text(max_size=6).filter(lambda t: t.isprintable()), min_size=1, max_size=5
).map("".join)
FITTING = {"name": ("run", "study", "plain", "data.zip"), "key": ("x",), "study": ("study",)}


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_name_reads_anything_that_was_not_opened(secret, data):
    """Each placeholder of each route gets a hostile name, escaped or as it is, beside fitting ones."""
    app, client = secret
    path = data.draw(st.sampled_from(get_paths(app)))
    held = re.findall(r"\{(\w+)\}", path)
    hostile = data.draw(st.sampled_from(held))
    for one in held:
        name = data.draw(NAMES) if one == hostile else data.draw(st.sampled_from(FITTING.get(one, ("png", "link.png"))))
        path = path.replace(
            f"{{{one}}}", quote(name, safe="") if data.draw(st.booleans()) else quote(name, safe="/.%\\:")
        )
    query = {"study": data.draw(NAMES)} if data.draw(st.booleans()) else {}
    answer = client.get(path, params=query)
    assert SECRET.encode() not in answer.content
    assert b"root:" not in answer.content
    assert answer.status_code != 500, answer.text
    check_headers(answer)


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs/run/samples/link.png",
        "/api/runs/up/samples/link.png?study=study",
        "/api/studies/study/logs/link.log",
        "/api/studies/study/figures/link.svg",
        "/api/studies/study/results",
        "/reports/run",
    ],
)
def test_links_out_of_what_was_opened_are_not_followed(secret, path):
    answer = secret[1].get(path)
    assert SECRET not in answer.text
    assert answer.status_code == 422 or answer.json() == {"blocks": []}


RAW = [
    *("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/static/../../server.py", "//etc/passwd"),
    *("/%2fetc%2fpasswd", "/..\\server.py", "/%5c..%5cserver.py", "/%00", "/page.js%00.html", "/....//server.py"),
    *("/./../server.py", "/reports/..%2f..%2fsecret.html", "/reports/../../etc/passwd", "/" + "a" * 5000),
]


@pytest.mark.parametrize("path", RAW, ids=lambda path: path[:30])
def test_the_page_s_own_files_lead_nowhere_else_as_sent_on_the_wire(site, path):
    """A client would tidy such a path up; this does not."""
    answer = on_the_wire(site, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] in (b"404", b"422", b"400", b"403"), answer[:200]
    assert b"def application" not in answer
    assert b"root:" not in answer


def test_a_request_that_declares_too_much_is_answered_before_it_is_sent(site):
    head = f"POST /api/jobs/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {10**12}\r\n\r\n"
    answer = on_the_wire(site, head)
    assert answer.split()[1] == b"413"


def on_the_wire(site, text):
    host, port = site.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(text.encode())
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
            if b'"error"' in part:
                break
    return b"".join(parts)


def test_no_file_of_the_page_names_another_host_or_has_styles_or_scripts_inside_it():
    for path in STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
    index = (STATIC / "index.html").read_text()
    assert " style=" not in index
    assert re.findall(r"<script(.*?)>(.*?)</script>", index) == [(' type="module" src="main.js"', "")]


def test_a_report_runs_no_script_in_the_browser(browser, site, places):
    folder = places / "scripted"
    folder.mkdir()
    (folder / "report.html").write_text(
        "<title>still</title><h1>Report</h1><script>document.title='ran'</script>"
        "<img src=x onerror=\"document.title='ran'\">"
    )
    with serving(application(open_all([folder]))) as address:
        context = browser.new_context()
        page = context.new_page()
        asked = []
        page.on("requestfinished", lambda request: asked.append(request.url))
        page.goto(f"{address}/reports/scripted")
        page.get_by_role("heading", name="Report").wait_for()
        assert page.title() == "still"
        assert asked == [f"{address}/reports/scripted"]
        context.close()


# --- sorby serve ---


def served(*arguments, **environment):
    return CliRunner(env={"SORBY_PASSWORD": None} | environment).invoke(sorby, ["serve", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0", "uhcs-64"], "--host 0.0.0.0 opens the explorer to others: set SORBY_PASSWORD"),
        (["--host", "::", "uhcs-64"], "--host :: opens the explorer to others"),
        (["nonsense"], "nonsense is nothing that can be explored: expected a generator"),
        (["--password-file", "absent.txt", "uhcs-64"], "--password-file absent.txt cannot be read"),
        (["--host", "192.0.2.1", "uhcs-64"], "cannot be listened on"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(arguments, said):
    environment = {"SORBY_PASSWORD": "x"} if "192.0.2.1" in arguments else {}
    check_refused(served(*arguments, **environment), said)


def test_a_port_that_is_taken_is_told_in_one_line(places):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check_refused(served(places / "plain", "--port", port), f"http://127.0.0.1:{port} cannot be listened on")


def test_an_empty_password_file_is_no_password(places, tmp_path):
    (tmp_path / "empty").write_text("\nsecond line")
    check_refused(served(places / "plain", "--password-file", tmp_path / "empty"), "is empty")


def test_without_its_libraries_the_explorer_says_what_to_install(monkeypatch, places):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    check_refused(served(places / "plain"), "The explorer needs uvicorn: pip install 'sorby[serve]'.")


def test_where_nothing_is_named_it_is_said_what_to_name():
    result = served()
    assert result.exit_code == 2
    assert "Missing argument" in result.output


def check_refused(result, said):
    error = result.exception
    assert result.exit_code != 0
    assert said in str(error)
    assert len(str(error).splitlines()) == 1


@contextmanager
def process(*sources, **environment):
    """`sorby serve` as a user starts it, and its address."""
    command = [sys.executable, "-m", "sorby", "serve", *map(str, sources), "--port", "0"]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )
    try:
        line = started.stdout.readline()
        assert "Sorby is at" in line, started.stderr.read()
        yield started, line.split()[3]
    finally:
        started.kill()
        started.wait()
        started.stdout.close()
        started.stderr.close()


def test_ctrl_c_ends_the_explorer_at_once_and_quietly_while_it_films_and_draws(places):
    import signal

    with process(places / "plain", SORBY_PASSWORD="") as (started, address):
        asked = {"stops": [{"seed": 0}, {"seed": 1}], "frames": 2000, "format": "gif"}
        key = httpx.post(f"{address}/api/generators/plain/walk/film", json=asked).json()["key"]
        while httpx.get(f"{address}/api/jobs/{key}").json()["done"] == 0:
            time.sleep(0.05)
        begun = time.perf_counter()
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=20)
        assert time.perf_counter() - begun < 5
        assert "Traceback" not in said
        assert started.returncode in (0, 130)


def test_half_characters_are_told_by_a_sign_that_stands_for_them(opened):
    body = json.dumps({"stops": [{"seed": 0, "condition": {"\ud800": "x", "phase": "ferrite"}}]})
    client = Asked(application(opened))
    answer = client.post(
        "/api/generators/steel/walk/picture", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert "�" in answer.json()["error"]
