// The place of a user's micrograph in the space of a generator, and edits of it.
import { address, ask, choice, conditionControls, download, element, figure, follow, latest, number, segmented, slider, table, tell, warningsOf } from "./page.js";

export const title = "Project";
export const needs = (opened) => opened.generators.length > 0;
const MOST_MIB = 64;

export function start(panel, opened) {
  const controls = element("div", { class: "controls" }), result = element("div");
  panel.append(controls, result);
  let generator, file = null, key = null, conditions, nearest, running = null;

  const which = choice("Generator", opened.generators.map((g) => g.name), () => build());
  const effort = choice("Search", [["quick", "quick, 100 steps"], ["thorough", "thorough, 300 steps"]], () => {});
  const space = choice("Space", [["w", "w: true to the generator"], ["w+", "w+: closer, less true"]], () => {});
  const noise = element("input", { type: "checkbox", checked: true });
  const input = element("input", { type: "file", id: "micrograph", accept: ".tif,.tiff,.png,.jpg,.jpeg,.bmp", onchange: () => take(input.files) });
  const again = element("button", { class: "first", disabled: true, onclick: () => project() }, "Project");
  const stop = element("button", { hidden: true, onclick: () => running?.abort() }, "Stop");
  const away = element("button", { hidden: true, onclick: () => { clear(); input.value = ""; told.textContent = "Forgotten."; } }, "Forget this micrograph");
  const bar = element("progress", { max: 1, value: 0, hidden: true, "aria-label": "Steps of the search" });
  const told = element("p", { class: "quiet", role: "status" });
  const drop = element("div", { class: "drop" },
    element("label", { for: "micrograph" }, "Drop a micrograph here, or choose one"), input,
    element("p", { class: "quiet" }, `TIFF, PNG, JPEG or BMP up to ${MOST_MIB} MiB. It stays in memory, is shown to you alone, and is forgotten when you leave.`));

  for (const kind of ["dragenter", "dragover"]) panel.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) panel.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove("over"); });
  panel.addEventListener("drop", (event) => { if (!event.dataTransfer.files.length) return; input.files = event.dataTransfer.files; take(input.files); });
  // Beside the panel a browser would open the file in the place of the page.
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => { if (!panel.hidden) event.preventDefault(); });
  window.addEventListener("pagehide", () => forget());

  function take(files) {
    const [one, another] = files;
    if (!one) return;
    if (another) { tell(`${files.length} files came: drop one micrograph.`); return; }
    if (one.size > MOST_MIB * 2 ** 20) { tell(`${one.name} is larger than ${MOST_MIB} MiB, which is the most that is taken here.`); return; }
    clear();
    file = one;
    project();
  }

  function forget() {
    running?.abort();
    if (key) fetch(`api/projections/${key}`, { method: "DELETE", keepalive: true });
    key = running = null;
  }

  function clear() {
    forget();
    file = null;
    told.textContent = "";
    again.disabled = away.hidden = stop.hidden = bar.hidden = true;
    result.replaceChildren();
  }

  async function project() {
    forget();
    const mine = (running = new AbortController());
    const busy = (is) => { stop.hidden = bar.hidden = !is; again.disabled = is || !file; away.hidden = is || !file; };
    const path = `api/generators/${encodeURIComponent(generator.name)}/projections`;
    const query = { file: file.name, effort: effort.value, space: space.value, fit_noise: noise.checked, condition: nearest?.checked === false ? conditions.values : [] };
    tell("");
    bar.value = 0;
    told.textContent = "Reading …";
    busy(true);
    result.replaceChildren(element("p", { class: "quiet" }, "The pictures come when the search is done."));
    try {
      const begun = await ask(path, query, { method: "POST", body: file, signal: mine.signal });
      key = begun.key;
      const job = await follow(key, (done, total) => {
        if (mine !== running) return;
        bar.value = total ? done / total : 0;
        told.textContent = total ? `Step ${done} of ${total}` : "Waiting to begin …";
      }, mine.signal);
      if (mine !== running) return;
      told.textContent = job ? "Found." : "Stopped.";
      if (job) show(job.result, begun.key); else result.replaceChildren();
    } catch (error) {
      if (mine !== running) return;
      told.textContent = error.name === "AbortError" ? "Stopped." : "";
      result.replaceChildren();
      if (error.name !== "AbortError") tell(error.message);
    } finally {
      if (mine === running) { running = null; busy(false); }
    }
  }

  function show(found, from) {
    const bar = found.scale_bar, at = found.told ? `, at ${found.told}` : "";
    const rows = [
      ["perceptual distance", number(found.distance), "0 for equal pictures"],
      ["correlation of grey values", number(found.correlation), "1 for equal pictures"],
      ["mean difference", number(found.mean_difference), "grey levels of 256"],
    ];
    result.replaceChildren(
      ...warningsOf(found),
      ...found.notes.map((text) => element("p", { class: "note" }, `Note: ${text}.`)),
      element("div", { class: "three" },
        figure(found.target, `Micrograph ${found.name} as it was used`, { bar, caption: `${found.name}, as used` }),
        figure(found.projection, `Generated micrograph, projection of ${found.name}`, { bar, caption: `Generated: its projection${at}` }),
        figure(found.difference, "Difference of the two", { bar, caption: `Difference: white none, black ${found.largest_difference} grey levels` })),
      element("div", { class: "near" }, table("How near", ["measure", "value", "unit"], rows, [0, 2])), edits(found, from));
  }

  function edits(found, from) {
    const shown = element("div", { class: "single" }), numbers = element("div"), saved = element("p", { class: "row" });
    const path = `api/projections/${from}/edit`;
    const draw = latest(async (signal) => {
      const query = asked();
      const answer = await ask(path, query, { signal });
      const caption = answer.told === "none" ? "Generated: the projection as found" : `Generated: ${answer.told}`;
      shown.replaceChildren(figure(answer.png, `Generated micrograph, edits of the projection: ${answer.told}`, { bar: found.scale_bar, caption }));
      numbers.replaceChildren(compared(found.measured, answer.measured), segmented());
      saved.replaceChildren(download(address(`${path}.tif`, query), "TIFF with scale"), download(address(`${path}.png`, query), "PNG"));
    });
    const truncation = slider("Truncation", { min: 0, max: 1, step: 0.05, value: 1, note: "0: the mean picture of the generator" }, draw);
    const moves = found.directions.map((one) => [one.name, slider(`${one.name}, sd`, { min: -3, max: 3, step: 0.25, value: 0, note: `${number(100 * one.share)} % of the variance of w` }, draw)]);
    const share = slider("Way to the seed", { min: 0, max: 1, step: 0.05, value: 0, note: "0: the micrograph's place, 1: the picture of the seed" }, draw);
    const seed = slider("Seed", { min: 0, max: 999, step: 1, value: 0 }, draw);
    const own = element("input", { type: "checkbox", checked: true, onchange: () => { drawn.root.hidden = own.checked; draw(); } });
    const drawn = slider("Noise of seed", { min: 0, max: 999, step: 1, value: 0 }, draw);
    drawn.root.hidden = true;
    const reset = () => {
      truncation.value = 1;
      share.value = 0;
      own.checked = drawn.root.hidden = true;
      for (const [, move] of moves) move.value = 0;
      draw();
    };
    const asked = () => ({
      truncation: truncation.value, share: share.value, seed: seed.value,
      move: moves.map(([name, move]) => `${name}=${move.value}`), noise_seed: own.checked ? null : drawn.value,
    });
    draw();
    return element("section", { class: "edits", "aria-label": "Edits" }, element("h2", {}, "Edits"),
      element("div", { class: "sides" },
        element("div", { class: "controls" }, truncation.root,
          element("fieldset", {}, element("legend", {}, "Along the principal directions of w"), moves.map(([, move]) => move.root)),
          element("fieldset", {}, element("legend", {}, "Walk"), share.root, seed.root),
          element("label", { class: "inline" }, own, "Noise as it was found"), drawn.root,
          element("button", { onclick: reset }, "Undo all edits")),
        element("div", {}, shown, saved, numbers)));
  }

  const compared = (before, after) => table("Measured", ["measure", "micrograph", "projection", "edited", "unit"],
    before.map((row, i) => [row.title, ...row.values.map(number), number(after[i].values[0]), row.unit]), [0, 4]);

  function build() {
    clear();
    input.value = "";
    generator = opened.generators.find((g) => g.name === which.value);
    conditions = conditionControls(generator.conditions, () => {});
    nearest = null;
    const parts = [];
    if (generator.conditions.length) {
      const asked = element("div", { class: "controls-inner", hidden: true }, conditions.roots);
      nearest = element("input", { type: "checkbox", checked: true, onchange: () => { asked.hidden = nearest.checked; } });
      parts.push(element("label", { class: "inline" }, nearest, "At the nearest condition of the data"), asked);
    }
    controls.replaceChildren(which.root, drop, effort.root, space.root, element("label", { class: "inline" }, noise, "Fit the noise, which places the particles"),
      ...parts, element("p", { class: "row" }, again, stop, away), bar, told);
    result.replaceChildren(element("p", { class: "quiet" }, "Drop a micrograph in: the search finds what this generator has to be given to draw it, and how near it comes."));
  }
  build();
}
