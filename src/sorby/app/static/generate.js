// Pictures of seeds, at conditions, with what they measure.
import { address, ask, choice, download, element, figure, latest, markBox, measuredTable, slider, warningsOf } from "./page.js";
import { conditionPart } from "./part.js";

export const title = "Generate";
export const needs = (opened) => opened.generators.length > 0;
const MOST = 64;

export function start(panel, opened) {
  const controls = element("div", { class: "controls" }), result = element("div");
  panel.append(controls, result);
  const which = choice("Generator", opened.generators.map((g) => g.name), () => build());
  let generator, seed, num, truncation, noise, noiseOn, conditions;
  let link = () => {};
  const mark = markBox(() => link());

  const query = () => ({
    truncation: truncation.value,
    condition: conditions.values,
    noise_seed: noiseOn.checked ? noise.value : null,
  });
  const draw = latest(async (signal) => {
    const last = seed.value + Number(num.value) - 1;
    const path = `api/generators/${encodeURIComponent(generator.name)}`;
    const answer = await ask(`${path}/pictures`, { seeds: `${seed.value}-${last}`, ...query() }, { signal });
    result.replaceChildren(...warningsOf(answer), show(answer, path));
  });
  const show = ({ pictures, measured, scale_bar: bar }, path) => {
    const single = pictures.length === 1;
    const figures = pictures.map((one) => {
      const caption = [`seed ${one.seed}`, one.told].filter(Boolean).join(", ");
      return figure(one.png, `Generated micrograph, ${caption}`, { bar: single ? bar : null, caption });
    });
    const links = element("p", { class: "row" });
    const file = (suffix) => address(`${path}/picture.${suffix}`, { seed: seed.value, ...query(), mark: mark.on || null });
    link = () => links.replaceChildren(download(file("tif"), single ? "TIFF with scale" : "First as TIFF"), download(file("png"), single ? "PNG" : "First as PNG"), mark.root);
    link();
    return element("div", { class: "beside" },
      element("div", {}, element("div", { class: single ? "single" : "grid" }, figures),
        !single && bar ? figureScale(bar) : null),
      element("div", { class: "card" }, measuredTable(measured),
        generator.pixel_size_um === null ? element("p", { class: "quiet" }, "The data of this generator had no pixel size: lengths are in px.") : null,
        links));
  };
  const figureScale = (bar) => element("p", { class: "quiet" }, `Each picture is ${Number((Number(bar.label.split(" ")[0]) / bar.share).toPrecision(3))} µm wide.`);

  function build() {
    generator = opened.generators.find((g) => g.name === which.value);
    seed = slider("Seed", { min: 0, max: 999, step: 1, value: 0 }, draw);
    num = choice("Pictures", [["1", "one"], ["16", "16"], [String(MOST), String(MOST)]], draw);
    truncation = slider("Truncation", { min: 0, max: 1, step: 0.05, value: 1, note: "lower: fewer kinds of picture, fewer failures" }, draw);
    noise = slider("Noise of seed", { min: 0, max: 999, step: 1, value: 0 }, draw);
    noiseOn = element("input", { type: "checkbox", onchange: () => { noise.root.hidden = !noiseOn.checked; draw(); } });
    noise.root.hidden = true;
    conditions = conditionPart(generator, draw, false);
    controls.replaceChildren(which.root, seed.root, num.root, ...conditions.roots, truncation.root,
      element("label", { class: "inline" }, noiseOn, "Noise of another seed"), noise.root,
      element("button", { class: "first", onclick: () => { seed.value = Math.floor(Math.random() * 1000); draw(); } }, "Another seed"),
      element("details", {}, element("summary", {}, "About this generator"), element("pre", {}, generator.about)));
    draw();
  }
  build();
}
