// The tabs: each is a module with a `title`, a `needs(opened)` and a `start(panel, opened)` that is called when it is first shown.
import { ask, element, tell } from "./page.js";
import * as generate from "./generate.js";
import * as walk from "./walk.js";
import * as project from "./project.js";
import * as compare from "./compare.js";
import * as judge from "./judge.js";
import * as data from "./data.js";
import * as runs from "./runs.js";

const TABS = { generate, walk, project, compare, judge, data, runs };

const opened = await ask("api/opened").catch((error) => { tell(error.message); throw error; });
const list = document.getElementById("tabs"), panels = document.getElementById("panels");
const shown = Object.entries(TABS).filter(([, tab]) => tab.needs(opened));
const started = new Set();

for (const [key, tab] of shown) {
  list.append(element("button", { role: "tab", id: `tab-${key}`, "aria-controls": key, onclick: () => show(key) }, tab.title));
  panels.append(element("section", { role: "tabpanel", id: key, "aria-labelledby": `tab-${key}`, hidden: true }));
}

function show(key) {
  for (const [other, tab] of shown) {
    const is = other === key, button = document.getElementById(`tab-${other}`), panel = document.getElementById(other);
    button.setAttribute("aria-selected", is);
    button.tabIndex = is ? 0 : -1;
    panel.hidden = !is;
    if (is && !started.has(key)) { started.add(key); tab.start(panel, opened); }
  }
  history.replaceState(null, "", `#${key}`);
  tell("");
}

list.addEventListener("keydown", (event) => {
  const keys = shown.map(([key]) => key), now = keys.indexOf(document.activeElement.id.slice(4));
  const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: keys.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const key = keys[(next + keys.length) % keys.length];
  show(key);
  document.getElementById(`tab-${key}`).focus();
});

const asked = location.hash.slice(1);
if (shown.length) show(shown.some(([key]) => key === asked) ? asked : shown[0][0]);
else tell("Nothing that is open has a page of its own: name a generator, a run, a dataset or a study as well.");
