// Style mixing: rows of seeds, with the style of the columns in some layers.
import { address, ask, choice, download, element, latest, markBox, slider, warningsOf } from "./page.js";
import { conditionPart, part, textField } from "./part.js";

export function mixingPart(generator) {
  const path = `api/generators/${encodeURIComponent(generator.name)}`;
  const about = "Every picture of a row has the noise and the style of its seed, but for some layers, whose style is that of the column.";
  if (generator.layers < 2)
    return { root: part("Style mixing", about, [element("p", {}, "This generator reads one style for the whole picture: there are no layers to be mixed.")]), end() {} };

  const result = element("div");
  const layers = Array.from({ length: generator.layers }, (_, layer) => [String(layer), `${layer} (${Math.min(4 * 2 ** Math.floor((layer + 1) / 2), generator.size_px)} px)`]);
  const rows = textField("Seeds of the rows", "0,1,2", () => draw());
  const columns = textField("Seeds of the columns", "3,4,5", () => draw());
  const first = choice("First layer from the columns", layers, () => draw());
  const last = choice("Last layer from the columns", layers, () => draw());
  first.value = String(Math.ceil(generator.layers / 2));
  last.value = String(generator.layers - 1);
  const truncation = slider("Truncation", { min: 0, max: 1, step: 0.05, value: 1 }, () => draw());
  const conditions = conditionPart(generator, () => draw());

  const query = () => ({ rows: rows.value, columns: columns.value, layers: `${first.value}-${last.value}`, truncation: truncation.value, condition: conditions.values });
  const image = (src, alt) => element("img", { src, alt: `Generated micrograph, ${alt}` });
  const links = element("p", { class: "row" }), mark = markBox(() => link());
  const link = () => links.replaceChildren(download(address(`${path}/mixture.png`, { ...query(), mark: mark.on || null }), "Sheet as PNG"), mark.root);
  const draw = latest(async (signal) => {
    const answer = await ask(`${path}/mixtures`, query(), { signal });
    const head = (kind, { seed, png }) => element("th", { scope: kind }, image(png, `seed ${seed}`), `seed ${seed}`);
    result.replaceChildren(...warningsOf(answer), element("table", { class: "mixtures" },
      element("caption", {}, `${answer.told} from the columns, the rest and the noise from the rows`),
      element("thead", {}, element("tr", {}, element("td"), answer.columns.map((one) => head("col", one)))),
      element("tbody", {}, answer.mixed.map((pictures, i) => element("tr", {}, head("row", answer.rows[i]),
        pictures.map((png, k) => element("td", {}, image(png, `seed ${answer.rows[i].seed} with ${answer.told} of seed ${answer.columns[k].seed}`))))))),
    links);
    link();
  });
  draw();
  return { root: part("Style mixing", about, [rows.root, columns.root, first.root, last.root, truncation.root, ...conditions.roots], result), end: draw.end };
}
