// Trainings while they run, studies of many, and reports of evaluations.
import { ask, choice, element, number, scrolled, table } from "./page.js";
import { chart } from "./curves.js";

export const title = "Runs";
export const needs = (opened) => opened.runs.length + opened.studies.length + opened.reports.length > 0;
const EVERY_MS = 3000;
const CHARTS = [
  ["FID", [["fid", "training patches"], ["held_out_fid", "held out"]]],
  ["Recall and precision", [["recall", "recall"], ["held_out_recall", "recall, held out"], ["precision", "precision"]], [0, 1]],
  ["Losses", [["loss_G", "generator"], ["loss_D", "discriminator"]]],
  ["r_t and p", [["r_t", "r_t"], ["p", "p, augmentation"]]],
  ["Spread of embeddings", [["spread_l", "of pictures"], ["spread_e", "of conditions"]]],
  ["Descriptor error", [["descriptor_error", "in sd of the real"]]],
  ["Speed", [["img_s", "images/s"]]],
];
const COLUMNS = ["kimg", "img_s", "r_t", "p", "loss_G", "loss_D", "fid", "recall"];
const VIEWS = { run, study, report };

export function start(panel, opened) {
  const note = element("p", { class: "warning", role: "status" }), body = element("div"), side = element("div");
  const kinds = { run: opened.runs, study: opened.studies, report: opened.reports };
  const choices = Object.entries(kinds).flatMap(([kind, names]) => names.map((name) => [`${kind}:${name}`, `${kind} ${name}`]));
  const which = choice("Show", choices, () => open());
  panel.append(element("div", { class: "controls" }, which.root, side), element("div", {}, note, body));
  let refresh = null, turn = 0, busy = false;

  /** `view` fills body and side, and gives a function that brings them up to date; none where nothing changes. */
  async function show(view) {
    turn += 1;
    busy = false;
    body.replaceChildren();
    side.replaceChildren();
    refresh = view;
    await again();
  }
  async function again() {
    if (busy || !refresh) return;
    const mine = turn;
    busy = true;
    try {
      const said = await refresh(() => mine === turn);
      if (mine === turn) note.textContent = said ?? "";
    } catch (error) {
      if (mine === turn) note.textContent = error instanceof TypeError ? "The explorer does not answer: it was ended, or is busy." : error.message;
    }
    if (mine === turn) busy = false;
  }
  function open() {
    const [kind, ...name] = which.value.split(":");
    show(VIEWS[kind](name.join(":"), { body, side, show }));
  }
  setInterval(() => { if (!panel.hidden && !document.hidden) again(); }, EVERY_MS);
  open();
}

/** The dashboard of a run, of `study` where it belongs to one; `back` leads to where it was chosen. */
function run(name, { body, side, show }, study = null, back = null) {
  const path = `api/runs/${encodeURIComponent(name)}`, of = study === null ? {} : { study };
  const lines = [], samples = new Set();
  const about = element("div", { class: "card facts" }), charts = element("div", { class: "charts" }), ticks = element("div");
  const sheets = sheetOf((file) => `${path}/samples/${file}${study === null ? "" : `?study=${encodeURIComponent(study)}`}`);
  const facts = element("dl"), settings = element("details");
  let told = null;

  return async (isMine) => {
    const since = lines.length ? lines[lines.length - 1].kimg : -1;
    const now = await ask(path, { ...of, since });
    if (!isMine()) return null;
    if (!about.isConnected) {
      if (back) body.append(element("p", {}, element("button", { onclick: () => show(back()) }, `Back to study ${study}`)));
      body.append(element("h2", {}, `Run ${name}`), about, charts, sheets.root, ticks);
      side.append(element("h2", {}, "What it is"), facts, settings);
    }
    if (now.whole) { lines.length = 0; samples.clear(); }
    lines.push(...now.lines);
    for (const file of now.samples) samples.add(file);
    about.replaceChildren(...progressOf(now));
    if (now.whole || now.lines.length) {
      charts.replaceChildren(...chartsOf(lines, now.of_kimg));
      ticks.replaceChildren(...lines.length ? [ticksOf(lines)] : []);
    }
    sheets.update([...samples].sort(), now.real);
    if (told !== now.kimg) {
      const answer = await ask(`${path}/settings`, of);
      if (!isMine()) return null;
      told = now.kimg;
      factsOf(answer, facts, settings);
    }
    return now.late ? `Nothing was written for ${duration(now.written_s)}, though a tick takes about ${duration(now.tick_s)}: the run was stopped, or hangs.` : "";
  };
}

const progressOf = (now) => {
  const label = `${number(now.kimg)} of ${number(now.of_kimg)} kimg`;
  const parts = [label, now.images_per_s === null ? null : `${number(now.images_per_s)} images/s`, `${duration(now.seconds)} so far`,
    now.finished ? "finished" : now.seconds_left === null ? "no tick yet" : `about ${duration(now.seconds_left)} left`,
    `written ${duration(now.written_s)} ago`];
  return [element("progress", { max: now.of_kimg, value: Math.min(now.kimg, now.of_kimg), "aria-label": "Trained" }), element("p", {}, parts.filter(Boolean).join("; "))];
};

const chartsOf = (lines, to) => CHARTS.flatMap(([title, named, range]) => {
  const curves = named.map(([key, name]) => ({ name, points: lines.filter((line) => Number.isFinite(line[key])).map((line) => [line.kimg, line[key]]) }))
    .filter((curve) => curve.points.length);
  return curves.length ? [chart(title, curves, { range, to })] : [];
});

const ticksOf = (lines) => element("details", {}, element("summary", {}, "All ticks as numbers"), scrolled("All ticks",
  table("All ticks, the newest first", COLUMNS, [...lines].reverse().map((line) => COLUMNS.map((name) => number(line[name]))), [])));

function factsOf({ facts, settings: all }, list, settings) {
  list.replaceChildren(...Object.entries(facts).flatMap(([name, text]) =>
    [element("dt", {}, name), element("dd", {}, name === "go on with" ? element("code", {}, text) : text)]));
  const isOpen = settings.open;
  settings.replaceChildren(element("summary", {}, "All settings"),
    element("dl", {}, Object.entries(all).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))])));
  settings.open = isOpen;
}

/** The newest sheet of samples, beside one of micrographs, and a slider over the earlier ones. */
function sheetOf(address) {
  const image = element("img", { alt: "" }), real = element("img", { alt: "Sheet of micrographs of the training set", hidden: true });
  const bar = element("input", { type: "range", id: "sheet", min: 0, max: 0, step: 1, value: 0 }), said = element("output", { for: "sheet" });
  const root = element("section", { hidden: true }, element("h3", {}, "Generated samples, and micrographs"),
    element("div", { class: "row" }, element("label", { for: "sheet" }, "Sheet"), bar, said),
    element("div", { class: "sheets" }, element("figure", {}, image, element("figcaption", {}, "Generated, seeds 0 and on")),
      element("figure", {}, real, element("figcaption", {}, "Micrographs"))));
  let files = [];
  const place = () => {
    const file = files[Number(bar.value)];
    if (!file) return;
    const kimg = `${number(Number.parseInt(file, 10) / 1000)} kimg`;
    said.textContent = kimg;
    bar.setAttribute("aria-valuetext", kimg);
    image.alt = `Sheet of generated samples at ${kimg}`;
    if (image.getAttribute("src") !== address(file)) image.src = address(file);
  };
  // A sheet that is just being written is asked for again at the next look.
  image.addEventListener("error", () => image.removeAttribute("src"));
  bar.addEventListener("input", place);
  return {
    root,
    update(found, hasReal) {
      const newest = Number(bar.value) >= files.length - 1, kept = files[Number(bar.value)];
      files = found;
      root.hidden = !files.length;
      bar.max = Math.max(files.length - 1, 0);
      bar.value = newest ? files.length - 1 : Math.max(files.indexOf(kept), 0);
      if (hasReal && real.hidden) { real.src = address("real.png"); real.hidden = false; }
      place();
    },
  };
}

/** How the runs of a study stand, and what they say together. */
function study(name, { body, side, show }) {
  const path = `api/studies/${encodeURIComponent(name)}`, rows = new Map();
  const heads = ["run", "state", "kimg", "left", "FID", "best", "time", "kWh", "worker", "log"];
  const list = element("tbody"), summary = element("p"), results = element("div"), log = element("section", { hidden: true });
  const live = scrolled("Runs of the study", element("table", {}, element("caption", {}, "Runs"),
    element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))), list));
  const here = () => study(name, { body, side, show });
  let finished = -1, shownLog = null;

  const rowOf = (one, logs) => {
    if (!rows.has(one.name)) {
      const cells = heads.map(() => element("td"));
      cells[0].append(element("button", { class: "plain", onclick: () => show(run(one.name, { body, side, show }, name, here)) }, one.name));
      rows.set(one.name, { cells, row: element("tr", {}, cells) });
      list.append(rows.get(one.name).row);
    }
    const { cells } = rows.get(one.name), of = duration;
    const texts = [one.state, `${number(one.kimg)} of ${number(one.of_kimg)}`, one.seconds_left === null ? "" : of(one.seconds_left), blank(one.fid), blank(one.best_fid),
      one.seconds ? of(one.seconds) : "", blank(one.kwh), one.state === "running" || one.state === "stopped" ? one.worker : ""];
    texts.forEach((text, i) => { if (cells[i + 1].textContent !== text) cells[i + 1].textContent = text; });
    cells[1].className = `state-${one.state}`;
    cells[1].title = one.error;
    const file = `${one.name}.log`;
    if (logs.includes(file) && !cells[9].firstChild) cells[9].append(element("button", { class: "plain", "aria-label": `Log of ${one.name}`, onclick: () => { shownLog = file; readLog(true); } }, "log"));
  };
  async function readLog(moved) {
    if (!shownLog) return;
    const { text } = await ask(`${path}/logs/${encodeURIComponent(shownLog)}`).catch((error) => ({ text: error.message }));
    const said = log.querySelector("pre");
    log.hidden = false;
    if (!moved && said) { if (said.textContent !== text) said.textContent = text; return; }
    const box = element("pre", { class: "log", tabindex: 0, "aria-label": `End of ${shownLog}` }, text);
    log.replaceChildren(element("h3", {}, shownLog), box);
    box.scrollTop = box.scrollHeight;
    box.focus();
  }

  return async (isMine) => {
    const now = await ask(path);
    if (!isMine()) return null;
    if (!live.isConnected) body.append(element("h2", {}, `Study ${name}`), element("p", { class: "quiet" }, now.title), summary, live, log, results);
    now.runs.forEach((one) => rowOf(one, now.logs));
    const failed = now.runs.filter((one) => one.error).map((one) => `${one.name} failed: ${one.error}`);
    summary.textContent = [Object.entries(now.counts).map(([state, num]) => `${num} ${state}`).join(", ") || "no run yet",
      now.head === null ? null : now.head ? "the study is being run" : "nobody runs the study",
      now.seconds_left === null ? null : `about ${duration(now.seconds_left)} left`, `${duration(now.seconds)} of work`,
      now.kwh === null ? null : `${number(now.kwh)} kWh`].filter(Boolean).join("; ");
    await readLog(false);
    if (finished !== (now.counts.finished ?? 0)) {
      const { blocks } = await ask(`${path}/results`);
      if (!isMine()) return null;
      finished = now.counts.finished ?? 0;
      const figures = now.figures.map((file) => element("figure", { class: "drawn" },
        element("img", { src: `${path}/figures/${encodeURIComponent(file)}?${finished}`, alt: `Figure ${file} of study ${name}; the tables below have its numbers` })));
      results.replaceChildren(...figures, ...shownBlocks(blocks));
    }
    return failed.join(" ");
  };
}

/** Headings, texts, lists and tables, which are called by the heading above them. */
function shownBlocks(blocks) {
  let above = "Results";
  return blocks.map((block) => {
    if (block.kind === "heading") return element(block.level > 1 ? "h3" : "h2", {}, (above = block.text));
    if (block.kind === "list") return element("ul", {}, block.items.map((item) => element("li", {}, item)));
    if (block.kind === "table") return scrolled(above, table(above, block.heads, block.rows, block.heads.map((_, column) => column)));
    return element("p", {}, block.text);
  });
}

/** The page of an evaluation, in a frame of its own. */
function report(name, { body, side }) {
  const href = `reports/${encodeURIComponent(name)}`;
  return async () => {
    if (body.firstChild) return "";
    side.append(element("p", {}, element("a", { class: "button", href, target: "_blank", rel: "noopener" }, "Open in full")));
    body.append(element("h2", {}, `Report ${name}`), element("iframe", { class: "report", src: href, sandbox: "", title: `Report of evaluation ${name}` }));
    return "";
  };
}

/** Something wide that scrolls by itself, also by keys. */
const blank = (value) => (value === null ? "" : number(value));
const duration = (seconds) => {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 129600 ? `${number(seconds / 3600)} h` : `${number(seconds / 86400)} d`;
};
