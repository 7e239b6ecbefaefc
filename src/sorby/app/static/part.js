// One section of the tab Walk: a heading, controls at the left, and what comes of them.
import { conditionControls, element } from "./page.js";

export function part(heading, about, controls, ...result) {
  const id = `part-${heading.toLowerCase().replaceAll(" ", "-")}`;
  return element("section", { class: "part", "aria-labelledby": id },
    element("h2", { id }, heading), element("p", { class: "quiet" }, about),
    element("div", { class: "controls" }, controls), element("div", {}, result));
}

/** A line of text with its label. */
export function textField(text, value, onchange) {
  const input = element("input", { type: "text", value, onchange: () => onchange(input.value) });
  return { root: element("label", {}, text, input), get value() { return input.value; } };
}

/** Conditions as in the data, or one that is asked for; NAME=VALUE of each, none for as in the data. */
export function conditionPart(generator, onchange) {
  if (!generator.conditions.length) return { roots: [], values: [] };
  const controls = conditionControls(generator.conditions, onchange);
  const inner = element("div", { class: "controls-inner", hidden: true }, controls.roots);
  const asData = element("input", { type: "checkbox", checked: true, onchange: () => { inner.hidden = asData.checked; onchange(); } });
  return {
    roots: [element("label", { class: "inline" }, asData, "Conditions as often as in the data"), inner],
    get values() { return asData.checked ? [] : controls.values; },
  };
}

/** As `latest`, for what only goes along with a picture: nothing is told of it, and what was told stays. */
export function quietly(work) {
  let current = null;
  return async (...given) => {
    current?.abort();
    current = new AbortController();
    await work(current.signal, ...given).catch(() => {});
  };
}

export const warningsOf = (answer) => answer.warnings.map((text) => element("p", { class: "warning" }, `Warning: ${text}`));
