// Parts of tabs: a section with a heading, controls at the left, and what comes of them; controls that several tabs have.
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
export function conditionPart(generator, onchange, isAsData = true) {
  if (!generator.conditions.length) return { roots: [], values: [] };
  const controls = conditionControls(generator.conditions, onchange);
  const inner = element("div", { class: "controls-inner", hidden: isAsData }, controls.roots);
  const asData = element("input", { type: "checkbox", checked: isAsData, onchange: () => { inner.hidden = asData.checked; onchange(); } });
  return {
    roots: [element("label", { class: "inline" }, asData, "Conditions as often as in the data"), inner],
    get values() { return asData.checked ? [] : controls.values; },
  };
}
