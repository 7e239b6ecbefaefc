// Which generator, which dataset, and which side of its split: what Compare and Judge both ask for.
import { ask, choice, element, latest } from "./page.js";

const SIDES = { "held-out": "held out", train: "training", "held-out-condition": "of held-out conditions" };

/** Choices that know of each other; `changed()` is called when all of them are known, first by `begin()`. */
export function bothChosen(opened, changed) {
  let sides = [];
  const load = latest(async (signal) => {
    const found = await ask(`api/datasets/${encodeURIComponent(dataset.value)}/sides`, {}, { signal });
    sides = found;
    list.replaceChildren(...sides.map((one) => element("option", { value: one.name },
      `${SIDES[one.name]}: ${one.pictures.toLocaleString("en")} of ${one.micrographs} ${one.micrographs === 1 ? "micrograph" : "micrographs"}`)));
    note.hidden = sides.some((one) => one.name === "held-out");
    changed();
  });
  const generator = choice("Generator", opened.generators.map((g) => g.name), () => changed());
  const dataset = choice("Dataset", opened.datasets.map((d) => d.name), () => load());
  const side = choice("Real pictures", [], () => changed());
  const list = side.root.querySelector("select");
  const note = element("p", { class: "quiet", hidden: true }, "No micrograph was held out: the generator may have learnt all of these.");
  dataset.value = fitting(opened).name;
  const known = (of) => opened.generators.find((g) => g.name === of).conditions.map((c) => [c.name, c.kind === "class"].join()).sort().join();
  return {
    root: element("div", { class: "stack" }, generator.root, dataset.root, side.root, note),
    begin: load,
    get generator() { return generator.value; },
    get dataset() { return dataset.value; },
    get side() { return side.value; },
    /** Those of the side, each {condition, told}; none where the generator has others. */
    get conditions() {
      const of = opened.datasets.find((d) => d.name === dataset.value).conditions.map((c) => [c.name, c.kind === "class"].join()).sort().join();
      return known(generator.value) === of ? sides.find((one) => one.name === side.value)?.conditions ?? [] : [];
    },
  };
}

/** A dataset of the size of the first generator, where there is one. */
const fitting = (opened) => opened.datasets.find((d) => d.size_px === opened.generators[0].size_px) ?? opened.datasets[0];
