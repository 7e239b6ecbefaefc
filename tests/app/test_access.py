"""Every tab for everybody: no fault that axe finds, and all controls reached and seen by keyboard alone.

The tabs are those of the page, so that a new one is tried as well.
"""

import pytest

from sorby.app.opened import open_all
from sorby.app.server import application
from sorby.config import resolve, to_toml
from tests.app.conftest import a_page, serving
from tests.app.test_judge import ready, start
from tests.app.test_runs import write_log, write_sample
from tests.latent.tiny import tiny

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
MOST_KEYS = 250
"""Of one walk through a tab."""
FOCUSED = """() => {
  const e = document.activeElement;
  if (e === document.body || e === null) return null;
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    tag: e.tagName, key: e.dataset.walked ??= String(Math.random()), html: e.outerHTML.slice(0, 120),
    outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""
CONTROLS = "a[href], button, input, select, textarea, summary, iframe, video, [tabindex='0']"
LEFT = (
    f"""panel => [...panel.querySelectorAll("{CONTROLS}")]"""
    + """
  .filter(e => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0 && !e.dataset.walked)
  .filter(e => !(e.type === "radio" && [...document.getElementsByName(e.name)].some(other => other.dataset.walked)))
  .map(e => e.outerHTML.slice(0, 120))"""
)


@pytest.fixture(scope="module")
def whole_site(places):
    """One of everything that can be opened."""
    run = places / "a-run"
    run.mkdir()
    (run / "config.toml").write_text(to_toml(resolve("demo", {"kimg": 10, "network": {"size": 32}})))
    write_log(run, 2, 4)
    write_sample(run, 4)
    tiny().save(run / "best")
    report = places / "a-report"
    report.mkdir()
    (report / "report.html").write_text("<!doctype html><html lang=en><title>R</title><main><h1>R</h1></main></html>")
    with serving(application(open_all([places / "plain", places / "steel", places / "data.zip", run, report]))) as site:
        yield site


def tabs(page, site):
    """Each tab of the page, shown and settled."""
    page.goto(site)
    page.get_by_role("tab").first.wait_for()
    for tab in page.locator("#tabs > [role=tab]").all():
        tab.click()
        settle(page)
        yield tab.inner_text()


def settle(page):
    """Until nothing is asked for any more, and pictures are there."""
    page.wait_for_timeout(300)
    page.wait_for_load_state("networkidle")


def faults_of(axe, page):
    """Each with the element that has it."""
    result = axe.run(page, options={"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]})
    return [
        (fault["id"], node["html"][:160], node["any"][0]["message"][:160] if node["any"] else "")
        for fault in result.response["violations"]
        for node in fault["nodes"]
    ]


def test_axe_finds_no_fault_on_any_tab(browser, whole_site):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = {}
    with a_page(browser, whole_site) as page:
        for name in tabs(page, whole_site):
            found[name] = faults_of(axe, page)
    assert len(found) >= 2
    assert {name: faults for name, faults in found.items() if faults} == {}


def generated(page):
    """A grid at a condition outside the data, with the noise of another seed."""
    page.get_by_label("Generator").select_option("steel")
    page.get_by_label("Pictures").select_option("16")
    page.get_by_label("Noise of another seed").check()
    page.get_by_role("spinbutton", name="temperature, °C").fill("1200")
    page.keyboard.press("Enter")
    page.get_by_text("Warning: temperature=1200 is outside the data").wait_for()


def walked(page):
    """Conditions of each stop, directions to be found, the film's options."""
    page.get_by_label("Generator").select_option("steel")
    page.get_by_label("Conditions of the seeds, as in the data").uncheck()
    page.get_by_text("Find directions", exact=True).first.click()
    page.get_by_role("listbox", name="Latent map").focus()
    page.keyboard.press("End")


def compared(page):
    """Distributions with their table, and the nearest training picture."""
    panel = page.locator("#compare")
    panel.get_by_label("Real pictures").select_option("train")
    panel.get_by_role("heading", name="Real: train of data.zip").wait_for()
    panel.get_by_role("button", name="Measure both sides").click()
    panel.locator(".chart").nth(10).wait_for()
    panel.get_by_role("button", name="Nearest training picture of generated seed 2").click()
    panel.get_by_role("heading", name="Nearest training picture of seed 2").wait_for()


def judged(page):
    """The result of a test."""
    panel = start(page, page.url.partition("#")[0].rstrip("/"))
    ready(panel, 1)
    page.keyboard.press("r")
    ready(panel, 2)
    panel.get_by_role("button", name="End here and see the result").click()
    panel.get_by_text("Ended after 1 of 20 pictures.").wait_for()


def told_of_a_mistake(page):
    """A file that is no micrograph."""
    chooser = page.get_by_label("Drop a micrograph here, or choose one")
    chooser.set_input_files({"name": "a.tif", "mimeType": "image/tiff", "buffer": b"no picture"})
    page.get_by_text("a.tif is text (starts with b'no picture')").wait_for()


@pytest.mark.parametrize(
    ("tab", "do"),
    [
        ("generate", generated),
        ("walk", walked),
        ("compare", compared),
        ("judge", judged),
        ("project", told_of_a_mistake),
    ],
)
def test_axe_finds_no_fault_in_what_comes_of_using_a_tab(browser, whole_site, tab, do):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with a_page(browser, whole_site) as page:
        page.goto(f"{whole_site}/#{tab}")
        do(page)
        settle(page)
        assert faults_of(axe, page) == []


def test_all_tabs_are_chosen_by_arrows_and_one_stop_of_the_tab_key(browser, whole_site):
    with a_page(browser, whole_site) as page:
        page.goto(whole_site)
        page.get_by_role("tab").first.wait_for()
        names = page.locator("#tabs > [role=tab]").all_inner_texts()
        page.keyboard.press("Tab")
        for i in range(len(names) + 1):
            chosen = page.locator("#tabs > [role=tab][aria-selected=true]")
            assert chosen.inner_text() == names[i % len(names)]
            assert chosen.evaluate("e => e === document.activeElement")
            assert page.locator("#panels > [role=tabpanel]:visible").count() == 1
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Home")
        assert page.evaluate("document.activeElement.textContent") == names[0]
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("document.activeElement.textContent") == names[-1]
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('[role=tabpanel]') !== null")


def test_every_control_of_every_tab_is_reached_by_the_tab_key_with_its_focus_in_view(browser, whole_site):
    with a_page(browser, whole_site) as page:
        for name in tabs(page, whole_site):
            page.locator("#tabs > [role=tab][aria-selected=true]").focus()
            keys = []
            for _ in range(MOST_KEYS):
                page.keyboard.press("Tab")
                at = page.evaluate(FOCUSED)
                if at is None or at["key"] in keys:
                    break
                keys.append(at["key"])
                assert at["seen"], f"{name}: {at} is out of sight"
                assert at["outline"] or at["tag"] == "IFRAME", f"{name}: the focus of {at} is not seen"
                settle(page) if len(keys) == 1 else None
            assert len(keys) > 1, name
            assert page.locator("#panels > [role=tabpanel]:visible").evaluate(LEFT) == [], (
                f"{name}: not reached by keys"
            )
