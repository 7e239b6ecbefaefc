// A walk from stop to stop: its stops, its way, its picture where the slider stands, and its film.
import { ask, choice, conditionControls, download, element, figure, latest, measuredTable, post, slider, tell, warningsOf } from "./page.js";
import { filmControls } from "./film.js";
import { latentMap } from "./map.js";
import { part } from "./part.js";

const STRETCH_S = 3; // played from stop to stop
const MOST_STOPS = 16;

export function wayPart(generator) {
  const path = `api/generators/${encodeURIComponent(generator.name)}`;
  let stops = [0, 1].map(makeStop);
  let turn = 0, playing = false; // each play is a turn of its own

  const list = element("ol", { class: "stops", "aria-label": "Stops" });
  const picture = element("div", { class: "single" }), numbers = element("div", { class: "card" }), seen = element("div", { class: "seen" });
  const film = filmControls(path, asked);
  const map = latentMap(toggle, latest(async (signal, seed, told) => {
    const [one] = (await ask(`${path}/pictures`, { seeds: seed }, { signal })).pictures;
    seen.replaceChildren(figure(one.png, `Generated micrograph, seed ${seed}, pointed at on the map`, { caption: [`seed ${seed}`, told].filter(Boolean).join(", ") }));
  }, { isQuiet: true }));

  /** First the picture, which one waits for; the line on the map when the sliders rest. */
  let isTraced = true;
  const changed = () => { isTraced = false; draw(); };
  const typed = element("input", { type: "number", min: 0, step: 1, value: 2 });
  const way = choice("Way", [["slerp", "slerp: great circles in z"], ["linear", "linear: straight lines in z"], ["w", "w: straight lines in w"], ["circle", "circle: through two seeds, all the way round"]], changed);
  const noise = choice("Noise (fine detail)", [["follow", "follow: from stop to stop"], ["hold", "hold: that of the first stop"], ["loop", "loop: round a circle"]], () => draw());
  const closed = element("input", { type: "checkbox", onchange: changed });
  const truncation = slider("Truncation", { min: 0, max: 1, step: 0.05, value: 1, note: "lower: fewer kinds of picture, fewer failures" }, changed);
  const asData = element("input", { type: "checkbox", checked: true, onchange: () => { listStops(); changed(); } });
  const position = slider("Position", { min: 0, max: 1, step: 0.005, value: 0 }, () => { pause(); draw(); });
  const play = element("button", { class: "first", onclick: () => (playing ? pause() : run()) }, "Play");

  function makeStop(seed) {
    return { seed, conditions: conditionControls(generator.conditions, () => changed()) };
  }
  function asked() {
    return {
      stops: stops.map((stop) => ({
        seed: stop.seed, truncation: truncation.value,
        condition: !generator.conditions.length || asData.checked ? null
          : Object.fromEntries(stop.conditions.values.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)])),
      })),
      way: way.value, noise: noise.value, closed: closed.checked,
    };
  }
  const draw = latest(async (signal) => {
    const t = position.value;
    map.stand(t);
    const answer = await post(`${path}/walk/picture?t=${t}`, asked(), { signal });
    const alt = `Generated micrograph, ${answer.told}, position ${t}`;
    picture.replaceChildren(...warningsOf(answer), figure(answer.png, alt, { bar: answer.scale_bar, caption: answer.told }));
    numbers.replaceChildren(measuredTable(answer.measured), element("p", { class: "row" }, download(answer.png, "PNG with provenance", "walk.png")));
    film.offer(answer.measured);
    if (!isTraced) { isTraced = true; trace(); }
  });
  const trace = latest(async (signal) => {
    map.walk(await post(`${path}/walk/path`, asked(), { signal }), stops.map((stop) => stop.seed));
    map.stand(position.value);
  }, { isQuiet: true });
  const seeds = latest(async (signal) => map.show(await ask(`${path}/map`, {}, { signal })));

  function isSeed(number) {
    if (Number.isInteger(number) && number >= 0 && number < 2 ** 31) return true;
    tell("A seed is a whole number from 0 on, such as 7.");
    return false;
  }
  function add(seed) {
    if (!isSeed(seed)) return;
    if (stops.length === MOST_STOPS) return tell(`A walk has ${MOST_STOPS} stops at most: remove one first.`);
    stops.push(makeStop(seed));
    listStops();
    changed();
  }
  function remove(stop) {
    stops = stops.filter((other) => other !== stop);
    listStops();
    if (stops.length) changed();
    else tell("A walk needs two stops: add seeds.");
  }
  function toggle(seed) {
    const stop = stops.find((one) => one.seed === seed);
    if (stop) remove(stop);
    else add(seed);
  }
  function listStops() {
    list.replaceChildren(...stops.map((stop, i) => {
      const seed = element("input", { type: "number", min: 0, step: 1, value: stop.seed, "aria-label": `Seed of stop ${i + 1}`, onchange: () => {
        if (seed.value !== "" && isSeed(Number(seed.value))) { stop.seed = Number(seed.value); changed(); } else seed.value = stop.seed;
      } });
      const gone = element("button", { "aria-label": `Remove stop ${i + 1}`, onclick: () => { remove(stop); list.querySelector("button, input")?.focus(); } }, "Remove");
      return element("li", {}, element("div", { class: "pair" }, seed, gone), asData.checked ? null : element("div", { class: "controls-inner" }, stop.conditions.roots));
    }));
  }

  function pause() { turn++; playing = false; play.textContent = "Play"; }
  /** From where it stands, round and round; the next picture is asked for when the last is there. */
  async function run() {
    const mine = ++turn;
    playing = true;
    play.textContent = "Pause";
    const legs = () => Math.max(way.value === "circle" ? 2 : stops.length - (closed.checked ? 0 : 1), 1);
    let before = performance.now();
    while (mine === turn && picture.isConnected && picture.offsetParent) {
      const now = await new Promise(requestAnimationFrame);
      if (mine !== turn) return;
      position.value = Number(((position.value + Math.max(now - before, 0) / 1000 / STRETCH_S / legs()) % 1).toFixed(4));
      before = now;
      if (await draw() === false) break; // given up for that of another slider, it goes on
    }
    if (mine === turn) pause();
  }

  listStops();
  draw();
  seeds().then(() => trace());
  const addTyped = element("form", { class: "row", onsubmit: (event) => { event.preventDefault(); add(typed.value === "" ? -1 : Number(typed.value)); } },
    element("label", {}, "Seed to add", typed), element("button", {}, "Add stop"));
  return {
    root: part("From seed to seed", "Every place between two pictures is a picture. Stops come from the map, or are typed.",
      [element("div", {}, element("p", { class: "label" }, "Stops"), list), addTyped,
        generator.conditions.length ? element("label", { class: "inline" }, asData, "Conditions of the seeds, as in the data") : null,
        way.root, noise.root, element("label", { class: "inline" }, closed, "Back to the first stop"), truncation.root].filter(Boolean),
      element("div", { class: "beside" },
        element("div", { class: "stack" }, picture, element("div", { class: "row playing" }, play, position.root), film.root),
        element("div", { class: "stack" }, element("div", { class: "card" }, map.root, seen), numbers))),
    end() { pause(); for (const one of [draw, trace, seeds, film]) one.end(); },
  };
}
