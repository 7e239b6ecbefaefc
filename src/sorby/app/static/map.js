// The latent map: seeds along the first two principal axes of w, the walk as a line between them.
import { element, svg } from "./page.js";

const MARGIN = 1.08, TEXT = 0.075;
const BESIDE = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** `choose(seed)` is called for a point that is clicked or entered, `look(seed)` for one that is pointed at. */
export function latentMap(choose, look) {
  let points = [], half = 3, now = null;
  const dots = svg("g"), way = svg("g", { "aria-hidden": true });
  const ring = svg("circle", { class: "ring", "aria-hidden": true }), here = svg("circle", { class: "here", "aria-hidden": true });
  ring.style.display = here.style.display = "none";
  const root = svg("svg", { class: "map", role: "listbox", tabindex: 0, "aria-multiselectable": true, "aria-label": "Latent map: seeds to walk through" },
    dots, way, ring, here);
  const about = element("figcaption");
  let path = [];

  const at = ([x, y]) => [x, -y];
  const put = (circle, place) => {
    const [cx, cy] = at(place);
    circle.setAttribute("cx", cx);
    circle.setAttribute("cy", cy);
    circle.style.display = "";
  };
  function point(next) {
    now = next;
    put(ring, next.place);
    root.setAttribute("aria-activedescendant", next.dot.id);
    look(next.seed, next.told);
  }
  /** The nearest point towards one side; what lies across counts twice. */
  function beside([dx, dy]) {
    const far = (p) => {
      const x = p.place[0] - now.place[0], y = p.place[1] - now.place[1];
      const along = x * dx + y * dy, across = Math.abs(x * dy - y * dx);
      return along > 1e-9 && along >= across / 2 ? along + 2 * across : Infinity;
    };
    const best = points.reduce((a, b) => (far(b) < far(a) ? b : a), now);
    return far(best) < Infinity ? best : now;
  }
  root.addEventListener("keydown", (event) => {
    if (!points.length) return;
    if (event.key in BESIDE) point(now ? beside(BESIDE[event.key]) : points[0]);
    else if (event.key === "Home") point(points[0]);
    else if (event.key === "End") point(points.at(-1));
    else if ((event.key === "Enter" || event.key === " ") && now) choose(now.seed);
    else return;
    event.preventDefault();
  });

  return {
    root: element("figure", { class: "map-figure" }, root, about),
    show(answer) {
      half = MARGIN * Math.max(...answer.points.flatMap((p) => p.place.map(Math.abs)), 1);
      root.setAttribute("viewBox", `${-half} ${-half} ${2 * half} ${2 * half}`);
      points = answer.points.map((p) => {
        const dot = svg("circle", { id: `map-${p.seed}`, role: "option", "aria-selected": false, "aria-label": [`seed ${p.seed}`, p.told].filter(Boolean).join(", "), r: 0.018 * half, class: "dot" });
        const made = { ...p, dot };
        put(dot, p.place);
        dot.addEventListener("click", () => { point(made); choose(p.seed); });
        dot.addEventListener("pointerenter", () => point(made));
        return made;
      });
      ring.setAttribute("r", 0.034 * half);
      here.setAttribute("r", 0.028 * half);
      dots.replaceChildren(
        svg("line", { x1: -half, x2: half, y1: 0, y2: 0, class: "axis", "aria-hidden": true }),
        svg("line", { y1: -half, y2: half, x1: 0, x2: 0, class: "axis", "aria-hidden": true }),
        ...points.map((p) => p.dot));
      const [first, second] = answer.shares.map((share) => Math.round(100 * share));
      about.textContent = `${points.length} seeds along the first two principal axes of w over the seeds${answer.points.some((p) => p.told) ? " and the conditions of the data" : ""}, which hold ${first} and ${second ?? 0} % of its variance. Click a point, or choose one by arrow keys and Enter, to add or remove its seed.`;
    },
    /** The line of the walk, and its stops by number. */
    walk(answer, seeds) {
      path = answer.path;
      const marks = answer.stops.map((place, i) => {
        const [x, y] = at(place);
        const text = svg("text", { x, y: y + 0.36 * TEXT * half, "font-size": TEXT * half }, String(i + 1));
        return svg("g", { class: "stop" }, svg("circle", { cx: x, cy: y, r: 0.048 * half }), text);
      });
      way.replaceChildren(svg("polyline", { points: path.map((p) => at(p).join(",")).join(" "), class: "way" }), ...marks);
      points.forEach((p) => p.dot.setAttribute("aria-selected", seeds.includes(p.seed)));
    },
    /** Where the walk stands, 0 to 1. */
    stand(t) {
      if (!path.length) return;
      const i = Math.min(Math.floor(t * (path.length - 1)), path.length - 2), share = t * (path.length - 1) - i;
      put(here, path[i].map((x, k) => x + share * (path[i + 1][k] - x)));
    },
  };
}
