// A walk recorded as a film.
import { choice, element, markBox, number, post, slider } from "./page.js";
import { jobControl } from "./job.js";

/** `walk()` is what the API takes as a walk. */
export function filmControls(path, walk) {
  const frames = slider("Frames", { min: 2, max: 480, step: 1, value: 120 }, () => {});
  const fps = slider("Frames a second", { min: 1, max: 60, step: 1, value: 24 }, () => {});
  const format = choice("Format", [["mp4", "MP4"], ["gif", "GIF"]], () => {});
  const mark = markBox();
  const curves = element("div", { class: "curves" });
  const shown = element("div", { "aria-live": "polite" });
  let address = null;

  const begin = () => post(`${path}/walk/film`, {
    ...walk(), frames: frames.value, fps: fps.value, format: format.value, mark: mark.on,
    traces: [...curves.querySelectorAll("input:checked")].map((box) => box.value),
  });
  async function finished(job, key) {
    const [file] = job.files, told = `${job.result.frames} frames, ${number(job.result.seconds)} s; ${job.result.told}`;
    const content = await (await fetch(`api/jobs/${key}/${file}`)).blob();
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(content);
    const alt = `Film of generated micrographs, ${told}`;
    shown.replaceChildren(element("figure", {},
      file.endsWith(".gif") ? element("img", { src: address, alt }) : element("video", { src: address, controls: true, loop: true, "aria-label": alt }),
      element("figcaption", {}, told)),
    element("p", { class: "row" }, element("a", { class: "button", href: address, download: file }, `Save ${file}`)));
  }
  const job = jobControl("Record film", begin, finished);
  return {
    root: element("details", { class: "card" }, element("summary", {}, "Record a film"),
      element("div", { class: "controls-inner" }, frames.root, fps.root, format.root, mark.root,
        element("fieldset", {}, element("legend", {}, "Curves under the picture, at most four"), curves), job.root), shown),
    /** The descriptors that there can be curves of. */
    offer(measured) {
      if (curves.childElementCount) return;
      curves.append(...measured.map((row) => element("label", { class: "inline" }, element("input", { type: "checkbox", value: row.name }), row.title)));
    },
    end() { job.end(); if (address) URL.revokeObjectURL(address); },
  };
}
