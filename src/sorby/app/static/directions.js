// Directions: sliders in standard deviations, named by what was measured of them, which move the picture of a seed.
import { ask, choice, download, element, figure, latest, number, post, segmented, slider, table, warningsOf } from "./page.js";
import { jobControl } from "./job.js";
import { conditionPart, part } from "./part.js";

const FURTHEST_SD = 3;
const NOTHING = "nothing that chance does not";

/** `area fraction +6.1 points (4.9 to 7.3); mean chord ...` to its first two effects, without their intervals. */
const briefly = (told) => told.split("; ").slice(0, 2).map((effect) => effect.replace(/ \([^()]*\)$/, "")).join(", ");

export function directionsPart(generator) {
  const path = `api/generators/${encodeURIComponent(generator.name)}`;
  const result = element("div"), sliders = element("div", { class: "controls-inner" });
  let sources = [], moves = [];

  const from = element("div"), nothing = element("p", { class: "quiet" }, "None are open for this generator: find some.");
  let source = null;
  const seed = slider("Seed to be moved", { min: 0, max: 999, step: 1, value: 0 }, () => draw());
  const truncation = slider("Truncation", { min: 0, max: 1, step: 0.05, value: 1 }, () => draw());
  const conditions = conditionPart(generator, () => draw());
  const back = element("button", { onclick: () => { moves.forEach((move) => { move.slider.value = 0; }); draw(); } }, "All back to 0");

  const draw = latest(async (signal) => {
    if (!source) return;
    const move = moves.filter((one) => one.slider.value !== 0).map((one) => `${one.name}=${one.slider.value}`);
    const answer = await ask(`${path}/moved`, { directions: source.value, move, seed: seed.value, truncation: truncation.value, condition: conditions.values }, { signal });
    const told = move.length ? `moved by ${move.join(", ")} sd` : "not moved";
    result.replaceChildren(...warningsOf(answer), element("div", { class: "beside" },
      element("div", { class: "two" },
        figure(answer.as_drawn, `Generated micrograph, seed ${seed.value}, as it is`, { bar: answer.scale_bar, caption: `seed ${seed.value}` }),
        figure(answer.moved, `Generated micrograph, seed ${seed.value}, ${told}`, { bar: answer.scale_bar, caption: told })),
      element("div", { class: "card" },
        table("Measured", ["measure", "seed", "moved", "unit"], answer.measured.map((row) => [row.title, ...row.values.map(number), row.unit]), [0, 3]), segmented(),
        element("p", { class: "row" }, download(answer.moved, "PNG with provenance", "moved.png")))));
  });

  function choose() {
    const { directions } = sources.find((one) => one.key === source.value);
    moves = directions.map(({ name, told }) => {
      const does = told !== NOTHING;
      return { name, does, slider: slider(does ? briefly(told) : name, { min: -FURTHEST_SD, max: FURTHEST_SD, step: 0.1, value: 0, note: does ? `${name}, +1 sd: ${told}` : `+1 sd: ${told}` }, () => draw()) };
    });
    const quiet = moves.filter((move) => !move.does);
    sliders.replaceChildren(element("p", { class: "label" }, "Move by, in standard deviations"),
      ...moves.filter((move) => move.does).map((move) => move.slider.root),
      ...(quiet.length ? [element("details", { open: quiet.length === moves.length }, element("summary", {}, `${quiet.length} that do ${NOTHING}`),
        element("div", { class: "controls-inner" }, quiet.map((move) => move.slider.root)))] : []), back);
    draw();
  }
  function offer(chosen) {
    nothing.hidden = sources.length > 0;
    if (!sources.length) { finding.open = true; return; }
    source = choice("Directions", sources.map((one) => [one.key, one.text]), choose);
    if (chosen) source.value = chosen;
    from.replaceChildren(source.root);
    choose();
  }

  const method = choice("Found by", [["both", "both: PCA and SeFa"], ["pca", "PCA of w"], ["sefa", "SeFa, of the weights"]], () => {});
  const num = choice("Directions of each method", ["2", "3", "5", "10"], () => {});
  num.value = "3";
  const pictures = choice("Pictures each is measured on", ["8", "16", "32", "48"], () => {});
  pictures.value = "16";
  const job = jobControl("Find directions",
    () => post(`${path}/directions`, { method: method.value, num: Number(num.value), seeds: Number(pictures.value), condition: conditions.values }),
    (done, key) => {
      sources = [{ key, text: `found now, by ${method.value}, on ${pictures.value} pictures`, directions: done.result.directions }, ...sources];
      offer(key);
    });

  const finding = element("details", {}, element("summary", {}, "Find directions"), element("div", { class: "controls-inner" }, method.root, num.root, pictures.root, job.root));

  (async () => {
    const answer = await ask(`${path}/directions`).catch((error) => ({ folders: [], warnings: [error.message] }));
    sources = answer.folders.map((folder) => ({ key: folder.name, text: folder.name, directions: folder.directions }));
    result.replaceChildren(...warningsOf(answer));
    offer();
  })();
  return {
    root: part("Along directions", "Ways along which pictures change, each named by what one standard deviation does beyond chance.",
      [from, nothing, seed.root, sliders, truncation.root, ...conditions.roots, finding],
      result),
    end() { draw.end(); job.end(); },
  };
}
