// A button that begins a long job, how far it is, and a button that stops it.
import { element, follow, tell } from "./page.js";

/** `begin()` resolves to {key}; `finished(job, key)` is called when there is something to show. */
export function jobControl(text, begin, finished) {
  let ending = null, key = null;
  const go = element("button", { class: "first", onclick: run }, text);
  const bar = element("progress", { max: 1, "aria-label": `${text}: progress` });
  const stop = element("button", { onclick: () => ending.abort() }, "Stop");
  const under = element("div", { class: "row", hidden: true }, bar, stop);
  const outcome = element("p", { class: "quiet", role: "status" });
  // Nobody waits for the work of a page that is left.
  addEventListener("pagehide", () => key && fetch(`api/jobs/${key}`, { method: "DELETE", keepalive: true }));

  async function run() {
    ending = new AbortController();
    outcome.textContent = "";
    tell("");
    try {
      ({ key } = await begin());
      bar.removeAttribute("value");
      under.hidden = false;
      stop.focus();
      go.disabled = true;
      const job = await follow(key, (done, total) => { if (total) bar.value = done / total; }, ending.signal);
      if (job) await finished(job, key);
      else outcome.textContent = "Stopped.";
    } catch (error) {
      tell(error.message);
    }
    key = null;
    go.disabled = false;
    if (document.activeElement === stop) go.focus();
    under.hidden = true;
  }
  return { root: element("div", {}, go, under, outcome), end: () => ending?.abort() };
}
