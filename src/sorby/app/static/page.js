// What all tabs share: elements, requests, controls, pictures and tables.

/** element("p", {class: "quiet", onclick: f}, "text", child) */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** svg("path", {d: "..."}, children) */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.flat(Infinity));
  return made;
}

let teller = null;

/** Show a message. `by` is the request that failed: it stays until that one goes well; any other until the next key or click. */
export function tell(message, by = null) {
  document.getElementById("status").textContent = message;
  teller = by;
}

const untell = (by) => { if (teller === by) tell(""); };
for (const done of ["keydown", "pointerdown"]) document.addEventListener(done, () => untell(null), { capture: true });

/** The address of a request; lists become several parameters, what is null is left out. */
export function address(path, query = {}) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of [value].flat()) if (one !== null && one !== undefined) words.append(name, one);
  return words.size ? `${path}?${words}` : path;
}

/** The answer of the API; an Error with its one line where it refuses. */
export async function ask(path, query = {}, options = {}) {
  const response = await fetch(address(path, query), options);
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({ error: `${response.status} ${response.statusText}` }));
  throw new Error(said.error);
}

/** `ask` with a body, as JSON: for what is too much for an address, and for what starts something. */
export const post = (path, body, options = {}) =>
  ask(path, {}, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), ...options });

/**
 * Wraps a function of (signal, ...): a new call gives up the one before; what goes wrong is told, what is given up is not.
 * `isQuiet` for what only goes along with a picture: nothing is told of it, and what was told stays.
 * A call comes to true where it went well, false where it failed, null where it was given up.
 * `end()` gives up the last call, takes back what was told of it, and lets no other begin.
 */
export function latest(work, { isQuiet = false } = {}) {
  let current = null, isOver = false;
  const call = async (...given) => {
    if (isOver) return null;
    current?.abort();
    const mine = (current = new AbortController());
    try {
      await work(mine.signal, ...given);
      if (mine !== current) return null;
      untell(work);
      return true;
    } catch (error) {
      if (mine !== current || error.name === "AbortError") return null;
      if (!isQuiet) tell(error.message, work);
      return false;
    }
  };
  call.end = () => {
    isOver = true;
    current?.abort();
    current = null;
    untell(work);
  };
  return call;
}

const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** `ask`, some times more where the network fails. */
async function askAgain(path, times = 5) {
  for (;;) {
    try {
      return await ask(path);
    } catch (error) {
      if (!(error instanceof TypeError) || --times === 0) throw error;
      await rest(1000);
    }
  }
}

/** Stop a job; `keepalive` for a page that is left. */
export const cancel = (key, keepalive = false) => fetch(`api/jobs/${key}`, { method: "DELETE", keepalive }).catch(() => {});

/** Follows a job to its end; `onProgress(done, total)`. Returns what it came to, or null where it was cancelled. */
export async function follow(key, onProgress, signal) {
  if (signal?.aborted) { cancel(key); return null; }
  signal?.addEventListener("abort", () => cancel(key));
  for (;;) {
    const job = await askAgain(`api/jobs/${key}`).catch((error) => { cancel(key); throw error; });
    onProgress(job.done, job.total);
    if (job.state === "finished") return job;
    if (job.state === "failed") throw new Error(job.error);
    if (job.state === "cancelled") return null;
    await rest(250);
  }
}

let count = 0;
const fresh = () => `c${++count}`;

/** A labelled choice; `choices` are texts or [value, text]. */
export function choice(text, choices, onchange) {
  const id = fresh();
  const list = element("select", { id, onchange: () => onchange(list.value) },
    choices.map((one) => [one].flat()).map(([value, shown]) => element("option", { value }, shown ?? value)));
  return { root: element("div", {}, element("label", { for: id }, text), list), get value() { return list.value; }, set value(v) { list.value = v; } };
}

/** A labelled slider with a number beside it; `known` is the range that the data hold, drawn under it. */
export function slider(text, { min, max, step, value, known = null, note = "", log = false }, onchange) {
  const id = fresh();
  const to = log ? Math.log10 : (x) => x, from = log ? (x) => 10 ** x : (x) => x;
  const round = (x) => Number(x.toPrecision(4));
  const bar = element("input", { type: "range", id, min: to(min), max: to(max), step: log ? "any" : step, value: to(value) });
  const box = element("input", { type: "number", "aria-label": text, step: "any", value: round(value) });
  const outside = known ? element("p", { class: "warning", hidden: true }, "outside the data") : null;
  const check = () => {
    const x = Number(box.value);
    if (known) outside.hidden = x >= known[0] && x <= known[1];
  };
  let last = round(value); // for as long as the box is empty
  const changed = () => { last = Number(box.value); check(); onchange(last); };
  bar.addEventListener("input", () => { box.value = round(from(Number(bar.value))); changed(); });
  box.addEventListener("change", () => {
    if (box.value === "") { box.value = last; return; }
    bar.value = to(Number(box.value));
    changed();
  });
  const share = (x) => (100 * (to(x) - to(min))) / (to(max) - to(min));
  const held = element("i");
  if (known) { held.style.left = `${share(known[0])}%`; held.style.right = `${100 - share(known[1])}%`; }
  check();
  return {
    root: element("div", {}, element("label", { for: id }, text), element("div", { class: "pair" }, bar, box),
      known ? element("div", { class: "range" }, held) : null, note ? element("p", { class: "quiet" }, note) : null, outside),
    get value() { return box.value === "" ? last : Number(box.value); },
    set value(x) { box.value = last = round(x); bar.value = to(x); check(); },
  };
}

/** A control for each condition of a generator, with units, and the range of the data marked. */
export function conditionControls(conditions, onchange) {
  const controls = conditions.map((c) => {
    const title = c.unit ? `${c.name}, ${c.unit}` : c.name;
    if (c.kind === "class") return choice(title, c.classes, onchange);
    const known = [c.low, c.high], log = c.kind === "log";
    const room = log ? 2 : (c.high - c.low || Math.abs(c.high) || 1) / 4;
    const [min, max] = log ? [c.low / room, c.high * room] : [c.low - room, c.high + room];
    const value = log ? Math.sqrt(c.low * c.high) : (c.low + c.high) / 2;
    const note = `data: ${Number(c.low.toPrecision(4))} to ${Number(c.high.toPrecision(4))}${c.unit ? ` ${c.unit}` : ""}`;
    return slider(title, { min, max, step: (max - min) / 200, value, known, note, log }, onchange);
  });
  return {
    roots: controls.map((control) => control.root),
    /** NAME=VALUE of each, as the API takes them. */
    get values() { return conditions.map((c, i) => `${c.name}=${controls[i].value}`); },
  };
}

export const warningsOf = (answer) => answer.warnings.map((text) => element("p", { class: "warning" }, `Warning: ${text}`));

/** A picture with its scale bar and a line below; `bar` is {share, label} or null. */
export function figure(src, alt, { bar = null, caption = "" } = {}) {
  const parts = [element("img", { src, alt })];
  if (bar) {
    const line = element("i");
    line.style.width = `${100 * bar.share}%`;
    parts.push(element("div", { class: "bar" }, line, bar.label));
  }
  if (caption) parts.push(element("figcaption", {}, caption));
  return element("figure", {}, parts);
}

export const number = (x) => (x === null || x === undefined || !Number.isFinite(x) ? "–" : Number(x.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 }));

export function spread(values) {
  const known = values.filter((x) => x !== null);
  if (!known.length) return { mean: null, sd: null };
  const mean = known.reduce((a, b) => a + b, 0) / known.length;
  const sd = known.length > 1 ? Math.sqrt(known.reduce((a, x) => a + (x - mean) ** 2, 0) / (known.length - 1)) : null;
  return { mean, sd };
}

/** table("Caption", ["name", "value"], rows of texts); columns from the second on are numbers unless told. */
export function table(caption, heads, rows, texts = [0]) {
  const kind = (i) => (texts.includes(i) ? {} : { class: "number" });
  return element("table", {}, element("caption", {}, caption),
    element("thead", {}, element("tr", {}, heads.map((head, i) => element("th", { scope: "col", ...kind(i) }, head)))),
    element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell, i) => element("td", kind(i), cell))))));
}

/** What may be wider than the page, scrolled by keys too. */
export const scrolled = (label, inside) => element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, inside);

/** How what is measured was told apart, under a table of it. */
export const segmented = () => element("p", { class: "quiet" }, "The brighter of two phases, by Otsu's threshold.");

/** What pictures measure: of one its values, of several mean and standard deviation. */
export function measuredTable(measured) {
  const many = measured[0].values.length > 1;
  return element("div", {}, table(many ? `Measured, ${measured[0].values.length} pictures` : "Measured", many ? ["measure", "mean", "sd", "unit"] : ["measure", "value", "unit"],
    measured.map((row) => {
      const { mean, sd } = spread(row.values);
      return many ? [row.title, number(mean), number(sd), row.unit] : [row.title, number(mean), row.unit];
    }), many ? [0, 3] : [0, 2]), segmented());
}

/** A box that asks for the word SYNTHETIC in the pixels of what is saved. */
export function markBox(onchange = () => {}) {
  const box = element("input", { type: "checkbox", onchange });
  return { root: element("label", { class: "inline" }, box, "Mark what is saved as SYNTHETIC"), get on() { return box.checked; } };
}

/** A link that looks like a button: the browser saves what it leads to. */
export function download(href, text, name = "") {
  return element("a", { class: "button", href, download: name }, text);
}
