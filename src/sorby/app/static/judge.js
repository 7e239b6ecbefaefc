// A blind test: real or generated? The truth is told when the last picture is judged.
import { jobControl } from "./job.js";
import { ask, choice, download, element, figure, number, post, slider, table, tell } from "./page.js";
import { bothChosen } from "./sides.js";

export const title = "Judge";
export const needs = (opened) => opened.generators.length > 0 && opened.datasets.length > 0;

const KEPT = "sorby-judge";
const isLost = (error) => error.message.startsWith("This test is not known");
const SURE = [["1", "a guess"], ["2", "fairly sure"], ["3", "certain"]];
const ANSWERS = { r: "real", f: "generated" };
const percent = (x) => `${Math.round(100 * x)} %`;
const rate = (one) => (one ? [`${one.right} of ${one.of}`, percent(one.value), `${percent(one.low)} to ${percent(one.high)}`] : ["none judged", "–", "–"]);

export function start(panel, opened) {
  panel.classList.add("judge");
  const controls = element("div", { class: "controls" }), stage = element("div");
  panel.append(controls, stage);
  let test = null;

  const chosen = bothChosen(opened, () => {});
  const num = choice("Pictures, half of them real", ["20", "40", "60", "100", "200"], () => {});
  num.value = "40";
  const truncation = slider("Truncation", { min: 0, max: 1, step: 0.05, value: 1 }, () => {});
  const judge = element("input", { type: "text", id: "judge-name", maxlength: 80, autocomplete: "off" });
  const begin = jobControl("Begin the test", () => post("api/judge", {
    generator: chosen.generator, dataset: chosen.dataset, side: chosen.side, num: Number(num.value), truncation: truncation.value, judge: judge.value,
  }), (job) => goOn(job.result.token));

  function setUp() {
    test = null;
    panel.classList.remove("wide");
    controls.hidden = false;
    controls.replaceChildren(chosen.root, num.root, truncation.root,
      element("div", {}, element("label", { for: "judge-name" }, "Name or initials of the judge (optional)"), judge), begin.root);
    stage.replaceChildren(element("div", { class: "card" }, element("h2", {}, "Can an expert tell?"),
      element("p", {}, "Half of the pictures are real, half are generated, in random order. Say of each which it is: key R for real, F for fake. Before that, 1 to 3 say how sure you are, if you like."),
      element("p", {}, "Whether you were right is told when all are judged, with the rates, their intervals, and a record of every picture. The test survives a reload of the page.")));
  }

  function forget() {
    sessionStorage.removeItem(KEPT);
    setUp();
  }

  /** Go on with a test, or show what it came to; nothing where the person did something else meanwhile. */
  async function resume(token) {
    const before = test;
    sessionStorage.setItem(KEPT, token);
    const state = await ask(`api/judge/${token}`);
    const found = state.is_over ? await ask(`api/judge/${token}/result`) : null;
    if (test !== before) return;
    panel.classList.add("wide");
    controls.hidden = true;
    test = { token, ...state };
    if (found) show(found); else next();
  }

  /** `resume`, and what goes wrong is told: only a test that the server has lost is forgotten. */
  async function goOn(token) {
    const before = test;
    try {
      await resume(token);
    } catch (error) {
      if (test !== before) return;
      if (isLost(error)) forget(); else if (test === null || test.is_over) offer(token);
      tell(error.message);
    }
  }

  /** For a test that did not come and of which no picture is shown. */
  function offer(token) {
    stage.replaceChildren(element("div", { class: "card" }, element("p", {}, "The test did not come; it is not lost."),
      element("p", { class: "row" }, element("button", { onclick: () => goOn(token) }, "Go on with the test"), element("button", { onclick: forget }, "Give up"))));
  }

  /** When the test is over a generated picture says what it is, so the browser must not show the one it kept. */
  const source = (index) => `api/judge/${test.token}/pictures/${index}.png${test.is_over ? "?signed" : ""}`;

  function next() {
    const mine = test, now = test.judged, before = document.activeElement?.dataset?.answer;
    if (now + 1 < test.num) new Image().src = source(now + 1);
    const buttons = Object.entries(ANSWERS).map(([key, answer]) => element("button", { class: "answer", "data-answer": answer, disabled: true, "aria-keyshortcuts": key.toUpperCase(), onclick: () => say(answer) },
      answer === "real" ? "Real (R)" : "Fake (F)"));
    const shown = figure(source(now), `Picture ${now + 1} of ${test.num}`, { bar: test.scale_bar });
    const sure = element("fieldset", { class: "row" }, element("legend", {}, "How sure (optional)"),
      SURE.map(([value, text]) => element("label", { class: "inline" }, element("input", { type: "radio", name: "sure", value }), `${value} ${text}`)));
    const image = shown.querySelector("img");
    mine.since = null;
    image.addEventListener("load", () => { mine.since = performance.now(); for (const button of buttons) button.disabled = false; stage.querySelector(`[data-answer="${before}"]`)?.focus(); });
    image.addEventListener("error", () => tell("The picture did not come: load the page again."));
    stage.replaceChildren(element("div", { class: "trial" },
      element("p", { role: "status" }, `Picture ${now + 1} of ${test.num}`),
      element("progress", { max: test.num, value: now, "aria-label": "Pictures judged" }), shown, element("p", { class: "row" }, buttons), sure,
      ...test.notes.map((text) => element("p", { class: "quiet" }, text)),
      element("p", {}, element("button", { onclick: () => end(), disabled: now === 0 }, "End here and see the result"), " ",
        element("button", { onclick: forget }, "Give up"))));
  }

  async function say(answer) {
    const mine = test;
    if (mine === null || mine.since === null || mine.is_over) return;
    const seconds = (performance.now() - mine.since) / 1000;
    const confidence = Number(stage.querySelector("[name=sure]:checked")?.value) || null;
    mine.since = null;
    try {
      Object.assign(mine, await post(`api/judge/${mine.token}/answers`, { number: mine.judged, answer, seconds, confidence }));
      const found = mine.is_over ? await ask(`api/judge/${mine.token}/result`) : null;
      if (mine !== test) return;
      tell("");
      if (found) show(found); else next();
    } catch (error) {
      if (mine !== test) return;
      // The answer may have come all the same: the server says which picture is next.
      await goOn(mine.token);
      if (mine === test) mine.since = performance.now() - 1000 * seconds;
      tell(error.message);
    }
  }

  async function end() {
    const mine = test;
    try {
      await post(`api/judge/${mine.token}/end`, {});
      if (mine === test) await goOn(mine.token);
    } catch (error) {
      if (mine !== test) return;
      if (isLost(error)) forget();
      tell(error.message);
    }
  }

  function show(found) {
    test.is_over = true;
    const { accuracy } = found, file = (suffix) => `api/judge/${test.token}/result.${suffix}`;
    const heading = element("h2", { tabindex: -1 }, `${accuracy.right} of ${accuracy.of} right: ${percent(accuracy.value)}`);
    const early = accuracy.of < found.asked ? [element("p", {}, `Ended after ${accuracy.of} of ${found.asked} pictures.`)] : [];
    stage.replaceChildren(
      element("div", { class: "card outcome" }, heading, element("p", {}, element("strong", {}, found.told)), ...early,
        table("Right answers", ["pictures", "right", "rate", "95 % interval"], [
          ["all", ...rate(accuracy)], ["generated, taken for generated", ...rate(found.generated_found)], ["real, taken for real", ...rate(found.real_found)]]),
        element("p", {}, `Against guessing: p = ${number(found.p_value)}. Median time for a picture: ${found.median_seconds.toFixed(1)} s.`),
        element("p", { class: "quiet" }, `${found.method}. They speak of this judge${found.judge ? ` (${found.judge})` : ""} and these pictures: ${found.generator} against ${found.dataset}, ${found.side}, truncation ${found.truncation}.`),
        ...found.notes.map((text) => element("p", { class: "quiet" }, text)),
        element("p", { class: "row" }, download(file("csv"), "Record as CSV"), download(file("json"), "Result as JSON"), element("button", { onclick: () => { forget(); stage.querySelector("h2").scrollIntoView(); } }, "Another test"))),
      element("h2", {}, "Every picture"),
      element("div", { class: "grid" }, found.pictures.map(judged)));
    heading.focus();
  }

  const judged = (one, index) => {
    const what = one.truth === "real" ? `Real micrograph, ${one.micrograph}` : `Generated micrograph, seed ${one.seed}`;
    const said = one.answer === "real" ? "real" : "fake";
    const shown = figure(source(index), what, { caption: what.replace(" micrograph", "") });
    shown.append(element("p", { class: one.right ? "verdict" : "verdict wrong" }, `${one.right ? "✓ right" : "✗ wrong"}: said ${said}${one.confidence ? `, ${SURE[one.confidence - 1][1]}` : ""}, ${one.seconds.toFixed(1)} s`));
    return shown;
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=radio]), select, textarea");
    if (panel.hidden || !test || test.is_over || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (ANSWERS[key]) { event.preventDefault(); say(ANSWERS[key]); }
    const radio = stage.querySelector(`[name=sure][value="${["1", "2", "3"].includes(key) ? key : "0"}"]`);
    if (radio) radio.checked = true;
  });

  const kept = sessionStorage.getItem(KEPT);
  setUp();
  chosen.begin();
  if (kept) goOn(kept);
}
