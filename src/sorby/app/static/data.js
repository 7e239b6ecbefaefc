// What sorby prepare kept and rejected, to be overruled by a person.
import { address, ask, choice, element, post, tell } from "./page.js";

export const title = "Data";
export const needs = (opened) => opened.datasets.length > 0;

const DECISIONS = [["", "as measured"], ["keep", "keep"], ["reject", "reject"]];
const KEYS = { m: "", k: "keep", r: "reject" };
const two = (x) => x.toFixed(2), percent = (x) => `${(100 * x).toFixed(1).replace(".0", "")} %`;
const MEASURES = [["sharpness", "sharpness", "at least", two], ["grey_levels", "grey levels", "at least", String], ["correlation", "correlation", "at least", two],
  ["saturated", "saturated", "at most", percent], ["crack", "crack, sides", "at most", two]];
const SHOWN = {
  all: ["all", () => true],
  kept: ["kept", (one) => one.kept],
  rejected: ["rejected", (one) => !one.kept],
  warned: ["with a warning", (one) => one.warnings !== ""],
  decided: ["decided by a person", (one, decision) => decision !== ""],
  changed: ["not yet written", (one, decision, is) => is],
};
const by = (name, sign) => (a, b) => sign * ((a.numbers[name] ?? sign * Infinity) - (b.numbers[name] ?? sign * Infinity)) || 0;
const ORDERS = {
  given: ["rejected first", () => 0],
  name: ["by name", (a, b) => a.name.localeCompare(b.name)],
  sharpness: ["least sharp first", by("sharpness", 1)],
  grey_levels: ["fewest grey levels first", by("grey_levels", 1)],
  saturated: ["most saturated first", by("saturated", -1)],
  crack: ["longest crack first", by("crack", -1)],
};

export function start(panel, opened) {
  panel.classList.add("review");
  const controls = element("div", { class: "controls" }), result = element("div");
  panel.append(controls, result);
  // What is shown: a dataset with its review, and its decisions that are not written yet.
  let name = null, review = null, pending = new Map(), rows = [], turn = 0;
  const unwritten = new Map(opened.datasets.map((d) => [d.name, new Map()])), saving = new Set();

  const which = choice("Dataset", opened.datasets.map((d) => d.name), () => open());
  const shown = choice("Show", Object.entries(SHOWN).map(([value, [text]]) => [value, text]), () => list());
  const order = choice("Order", Object.entries(ORDERS).map(([value, [text]]) => [value, text]), () => list());
  const words = element("input", { type: "text", id: "name-filter", oninput: () => list() });
  const counts = element("p", { role: "status" }), larger = element("div", { class: "larger" });
  const write = element("button", { class: "first", onclick: () => save() }, "Write");
  const written = element("div");
  const path = () => `api/datasets/${encodeURIComponent(name)}`;
  const decisionOf = (file) => pending.get(file) ?? review.decisions[file] ?? "";

  async function open() {
    const mine = ++turn, wanted = which.value;
    let answer = null, failed = "";
    tell("");
    try {
      answer = await ask(`api/datasets/${encodeURIComponent(wanted)}/review`);
    } catch (error) {
      failed = error.message;
    }
    if (mine !== turn) return;
    name = wanted;
    review = answer;
    pending = unwritten.get(name);
    larger.replaceChildren();
    if (failed) tell(failed);
    if (!review) {
      result.replaceChildren();
      counts.textContent = "";
      write.disabled = true;
      return;
    }
    const file = review.by_prepare ? [element("p", { class: "row" }, write), written]
      : [element("p", { class: "quiet" }, "This dataset was not made by sorby prepare: it can be looked at, and nothing overruled.")];
    controls.replaceChildren(which.root, shown.root, order.root, element("div", {}, element("label", { for: "name-filter" }, "Name contains"), words), counts, ...file, larger);
    list();
    told();
  }

  async function save() {
    const mine = turn, sent = pending;
    write.disabled = true;
    saving.add(sent);
    try {
      const answer = await post(`${path()}/overrides`, Object.fromEntries(sent));
      // What was decided while it was written stays.
      for (const [file, decision] of sent) if (decision === (answer.decisions[file] ?? "")) sent.delete(file);
      saving.delete(sent);
      if (mine !== turn) { if (sent === pending) open(); return; }
      review = answer;
      list();
      tell("");
    } catch (error) {
      tell(error.message);
    }
    saving.delete(sent);
    if (sent === pending && review) told(true);
  }

  /** What is decided and not in the list yet, and what is to be typed when it is. */
  function told(now = false) {
    const { kept, rejected } = review.micrographs.reduce((sum, one) => ({ ...sum, [one.kept ? "kept" : "rejected"]: sum[one.kept ? "kept" : "rejected"] + 1 }), { kept: 0, rejected: 0 });
    counts.textContent = `${kept} kept, ${rejected} rejected; ${rows.length} shown.${pending.size ? ` ${pending.size} decided and not yet written.` : ""}`;
    write.disabled = pending.size === 0 || saving.has(pending);
    if (!review.is_written) { written.replaceChildren(element("p", { class: "quiet" }, `Writes ${review.list} beside the dataset.`)); return; }
    const command = element("code", {}, review.command);
    written.replaceChildren(element("p", { role: now ? "status" : null }, `${review.list} is written. To apply it, in the folder of the dataset:`), element("pre", { tabindex: 0, "aria-label": "Command" }, command),
      element("p", { class: "quiet" }, "SOURCE... are the raw files; they are not recorded in the dataset."));
  }

  function list() {
    if (!review) return;
    const isShown = SHOWN[shown.value][1], wanted = words.value.trim().toLowerCase();
    const found = review.micrographs.filter((one) => isShown(one, decisionOf(one.name), pending.has(one.name)) && one.name.toLowerCase().includes(wanted));
    const sorted = [...found].sort(ORDERS[order.value][1]);
    rows = sorted.map(row);
    const head = ["", "micrograph", "as it was prepared", ...MEASURES.map(([name, text, kind, told]) => [text, review.limits[name] ? `${kind} ${(told === percent ? percent : String)(review.limits[name])}` : ""]), "decision"];
    const cells = head.map((cell) => [cell].flat()).map(([text, note], i) =>
      element("th", { scope: "col", class: i > 2 && i < head.length - 1 ? "number" : null }, text || element("span", { class: "hidden" }, "picture"), note ? element("small", {}, note) : null));
    const body = element("tbody", {}, rows.map(({ root }) => root)), before = result.querySelector("tr:focus-within th")?.textContent;
    const keys = review.by_prepare ? element("p", { class: "quiet" }, "Keys in a row: K keep, R reject, M as measured; Tab goes to the next.") : null;
    // Who decides by keys while the list is written goes on in the same row.
    const after = before === undefined ? -1 : sorted.findIndex((one) => one.name === before);
    result.replaceChildren(...[keys, rows.length ? element("div", { class: "card" }, element("table", {}, element("caption", {}, "Micrographs"), element("thead", {}, element("tr", {}, cells)), body)) : element("p", {}, "No micrograph is like that.")].filter(Boolean));
    rows[after]?.focus();
    told();
  }

  function row(one) {
    const state = element("td");
    const group = `decision-${one.name}`;
    const radios = DECISIONS.map(([value, text]) => {
      const dead = value === "keep" && one.remedy !== "";
      const radio = element("input", { type: "radio", name: group, value, disabled: dead, onchange: () => decide(value) });
      return { value, radio, dead, label: element("label", { class: "inline" }, radio, text) };
    });
    const mine = { root: null, focus: () => (radios.find(({ radio }) => radio.checked) ?? radios[0]).radio.focus() };
    const paint = () => {
      const decision = decisionOf(one.name), before = review.made_with[one.name] ?? "";
      for (const { value, radio } of radios) radio.checked = value === decision;
      const is = one.kept ? `kept, ${one.split === "train" ? "training" : one.split.replace("-", " ")}; ${one.patches} ${one.patches === 1 ? "patch" : "patches"}`
        : `rejected: ${one.reason}`;
      const next = decision === before ? "" : decision === "" ? "will be judged by its measures" : `will be ${decision === "keep" ? "kept" : "rejected"}`;
      state.replaceChildren(element("span", { class: one.kept ? null : "rejected" }, is), ...[[one.measured, one.limit].filter(Boolean).join("; "), one.warnings && `Warning: ${one.warnings}`, one.remedy && `No list keeps it; what helps: ${one.remedy}.`].filter(Boolean).map((text) => element("p", { class: "quiet" }, text)),
        ...(next ? [element("p", { class: "next" }, `${next}${pending.has(one.name) ? ", once written" : ", when it is prepared again"}`)] : []));
    };
    const decide = (value) => {
      // While it is written, the list is about to say something else.
      if (value === (review.decisions[one.name] ?? "") && !saving.has(pending)) pending.delete(one.name); else pending.set(one.name, value);
      paint();
      told();
    };
    const keyed = (event) => {
      const value = KEYS[event.key.toLowerCase()];
      if (!review.by_prepare || value === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      if (radios.some((radio) => radio.value === value && radio.dead)) { tell(`${one.name} is ${one.reason}, and no list keeps it: ${one.remedy}.`); return; }
      decide(value);
      (rows[rows.indexOf(mine) + 1] ?? mine).focus();
    };
    const src = address(`${path()}/preview`, { file: one.name });
    const enlarge = () => larger.replaceChildren(one.pictured ? element("figure", {}, element("img", { src, alt: "" }), element("figcaption", {}, one.name)) : "");
    const picture = one.pictured ? element("img", { src, alt: `Micrograph ${one.name}`, loading: "lazy" }) : element("span", { class: "quiet" }, "no picture");
    mine.root = element("tr", { onkeydown: keyed, onfocusin: enlarge, onclick: enlarge },
      element("td", {}, picture), element("th", { scope: "row" }, one.name), state,
      MEASURES.map(([name, , , told]) => element("td", { class: "number" }, one.numbers[name] === undefined ? "–" : told(one.numbers[name]))),
      element("td", {}, review.by_prepare ? element("fieldset", {}, element("legend", { class: "hidden" }, `Decision on ${one.name}`), radios.map(({ label }) => label)) : null));
    paint();
    return mine;
  }
  window.addEventListener("beforeunload", (event) => { if ([...unwritten.values()].some((one) => one.size)) event.preventDefault(); });
  open();
}
