// Walks through the space of a generator: from seed to seed, along directions, by mixing.
import { choice, element } from "./page.js";
import { directionsPart } from "./directions.js";
import { mixingPart } from "./mixing.js";
import { wayPart } from "./way.js";

export const title = "Walk";
export const needs = (opened) => opened.generators.length > 0;

export function start(panel, opened) {
  panel.classList.add("wide");
  const parts = element("div", { class: "parts" });
  const which = choice("Generator", opened.generators.map((g) => g.name), () => build());
  let shown = [];

  function build() {
    const generator = opened.generators.find((g) => g.name === which.value);
    shown.forEach((part) => part.end());
    shown = [wayPart, directionsPart, mixingPart].map((part) => part(generator));
    parts.replaceChildren(...shown.map((part) => part.root));
  }
  panel.append(element("div", { class: "which" }, which.root), parts);
  build();
}
