// A button that begins a long job, how far it is, and a button that stops it.
import { cancel, element, follow, tell } from "./page.js";

/** `begin()` resolves to {key}; `finished(job, key)` is called when there is something to show. */
export function jobControl(text, begin, finished) {
  let ending = null;
  const go = element("button", { class: "first", onclick: run }, text);
  const bar = element("progress", { max: 1, "aria-label": `${text}: progress` });
  const stop = element("button", { onclick: () => ending.abort() }, "Stop");
  const under = element("div", { class: "row", hidden: true }, bar, stop);
  const outcome = element("p", { class: "quiet", role: "status" });

  async function run() {
    const { signal } = (ending = new AbortController());
    let key = null;
    // Nobody waits for the work of a page that is left.
    const leave = () => { if (key) cancel(key, true); };
    addEventListener("pagehide", leave);
    go.disabled = true; // before it begins, so that two clicks begin one job
    outcome.textContent = "";
    tell("");
    try {
      ({ key } = await begin());
      bar.removeAttribute("value");
      under.hidden = false;
      stop.focus();
      const job = await follow(key, (done, total) => { if (total) bar.value = done / total; }, signal);
      if (job && !signal.aborted) await finished(job, key);
      else outcome.textContent = "Stopped.";
    } catch (error) {
      if (!signal.aborted) tell(error.message);
    }
    removeEventListener("pagehide", leave);
    go.disabled = false;
    // A button that is disabled loses the focus to the body.
    if ([stop, document.body].includes(document.activeElement)) go.focus({ preventScroll: true });
    under.hidden = true;
  }
  return { root: element("div", {}, go, under, outcome), end: () => ending?.abort() };
}
