// Curves over kimg as SVG: a picture for the eye, its course in words for those who cannot see it.
import { element, number, svg } from "./page.js";

const WIDE = 340, HIGH = 190, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 28;

/** A chart of `curves`, each {name, points: [[kimg, value], ...]}; `range` of the values, else that of the curves. */
export function chart(title, curves, { range = null, to = null } = {}) {
  const all = curves.flatMap((curve) => curve.points);
  const xs = all.map(([x]) => x), ys = all.map(([, y]) => y);
  const right = Math.max(to ?? 0, ...xs);
  const [low, high] = bounds(range ?? [Math.min(...ys), Math.max(...ys)]);
  const x = (kimg) => LEFT + (kimg / right) * (WIDE - LEFT - RIGHT);
  const y = (value) => TOP + ((high - value) / (high - low)) * (HIGH - TOP - BOTTOM);
  const ticks = steps(low, high, 4).map((value) => [
    svg("line", { class: "gridline", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, number(value)),
  ]);
  const below = steps(0, right, 5).map((kimg) => svg("text", { x: x(kimg), y: HIGH - 13, "text-anchor": "middle" }, number(kimg)));
  const lines = curves.map(({ points }, i) => {
    const d = points.map(([kimg, value], j) => `${j ? "L" : "M"}${x(kimg).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    const last = points[points.length - 1];
    return [svg("path", { class: `curve curve-${i}`, d }), svg("circle", { class: `mark curve-${i}`, r: 3, cx: x(last[0]), cy: y(last[1]) })];
  });
  const said = curves.map((curve) => `${curve.name} ${course(curve.points)}`).join("; ");
  return element("figure", { class: "chart" }, element("h3", {}, title),
    svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title} over kimg: ${said}` }, ticks, below,
      svg("text", { x: WIDE - RIGHT, y: HIGH - 1, "text-anchor": "end" }, "kimg"), lines),
    element("figcaption", {}, curves.map((curve, i) => element("span", { class: "key" },
      svg("svg", { viewBox: "0 0 24 8", class: "stroke", "aria-hidden": "true" }, svg("path", { class: `curve curve-${i}`, d: "M0 4H24" })),
      `${curve.name} ${number(curve.points[curve.points.length - 1][1])}`))));
}

const course = (points) => {
  const [first, last] = [points[0], points[points.length - 1]];
  return points.length > 1 ? `from ${number(first[1])} at ${number(first[0])} to ${number(last[1])} at ${number(last[0])} kimg` : `${number(last[1])} at ${number(last[0])} kimg`;
};

/** A range with some room, that is never empty. */
function bounds([low, high]) {
  const room = (high - low) * 0.05 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

/** Round numbers from `low` to `high`, about `num` of them. */
function steps(low, high, num) {
  const raw = (high - low) / num, size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((one) => one >= raw);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step);
  return found;
}
