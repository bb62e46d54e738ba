/** The page of a density model: it completes a picture whose lower rows are wiped out, several times at once. */

import { button, element, fileButton, guarded, onDrop, save } from "./dom.js";
import { readPicture, show } from "./picture.js";

const COUNT = 4;

export function densityPage(main, about, engine, page) {
  const { input } = about, { side, channels } = input, pixels = side * side, width = channels.length;
  let picture = new Uint8Array(pixels * width), completions = [], running = 0;

  const original = element("canvas", { className: "pixels", role: "img", "aria-label": "The picture; rows below the line are wiped out" });
  const rows = element("input", { type: "range", min: 0, max: side - 1, step: 1, value: side >> 1, "aria-label": "Rows kept" });
  const seed = element("input", { type: "number", min: 0, max: 2 ** 31 - 1, step: 1, value: 1 });
  const speed = element("p", { className: "note", role: "status" });
  const note = element("p", { className: "note" });
  const caption = element("figcaption");
  const progress = element("progress", { max: 1, value: 0, "aria-label": "Pixels drawn" });
  const canvases = Array.from({ length: COUNT }, (_, i) =>
    element("canvas", { className: "pixels", role: "img", "aria-label": `Completion ${i + 1}` }),
  );
  const saver = button("Save pictures", () => guarded(savePictures), { disabled: true });
  const toggler = button("Complete", () => (running ? stop() : guarded(start)), { className: "primary" });

  function paint() {
    const kept = Number(rows.value) * side;
    rows.setAttribute("aria-valuetext", `${rows.value} of ${side} rows kept`);
    caption.textContent = kept ? `${rows.value} of ${side} rows are kept` : "Nothing is kept: the network invents a picture";
    show(original, picture, width, (i) => (i < kept ? 1 : 0.16));
  }

  /** Show the pixels above the line in every completion, and nothing below it. */
  function reset() {
    const kept = Number(rows.value) * side * width;
    completions = canvases.map(() => {
      const levels = new Uint8Array(pixels * width);
      levels.set(picture.subarray(0, kept));
      return levels;
    });
    canvases.forEach((canvas, i) => show(canvas, completions[i], width));
    saver.disabled = true;
    progress.value = 0;
  }

  async function start() {
    const number = Number(seed.value);
    if (!Number.isInteger(number) || number < 0 || number >= 2 ** 31) {
      throw new RangeError(`seed: expected a whole number from 0 to ${2 ** 31 - 1}, got "${seed.value}"`);
    }
    reset();
    const mine = (running = Date.now() + Math.random()), kept = Number(rows.value) * side, began = performance.now();
    toggler.textContent = "Stop";
    speed.textContent = "Drawing …";
    let drawn = 0, waiting = false;
    const prefix = picture.slice(0, kept * width);
    const received = ({ at, levels }) => {
      if (mine !== running) return;
      completions.forEach((image, i) => image.set(levels.slice(i * width, (i + 1) * width), at * width));
      drawn++;
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        if (mine === running) showProgress();
      });
    };
    const showProgress = () => {
      canvases.forEach((canvas, i) => show(canvas, completions[i], width));
      progress.value = drawn / (pixels - kept);
      const seconds = (performance.now() - began) / 1000;
      speed.textContent =
        `${drawn} of ${pixels - kept} pixels, four at a time, in ${seconds.toFixed(1)} s: ` +
        `${Math.round((COUNT * drawn) / seconds)} pixels per second on this device.`;
    };
    try {
      await engine.call("complete", { prefix, count: COUNT, seed: number, pixels }, received);
      if (mine !== running) return;
      showProgress();
      saver.disabled = drawn < pixels - kept;
    } finally {
      if (mine === running) ended();
    }
  }

  function ended() {
    running = 0;
    toggler.textContent = "Complete";
  }

  function stop() {
    engine.call("stop");
    ended();
  }

  /** Begin anew, because the picture or the line has changed. */
  function change() {
    if (running) stop();
    speed.textContent = "";
    paint();
    reset();
  }

  const open = (file, said) =>
    guarded(async () => {
      const found = await readPicture(file, input);
      picture = found.levels;
      note.textContent = [said, found.note].filter(Boolean).join(" ");
      change();
    });
  const example = async () => open(await (await fetch(page.example)).blob(), "");

  async function savePictures() {
    const sheet = new OffscreenCanvas(COUNT * side, side), context = sheet.getContext("2d");
    canvases.forEach((canvas, i) => context.drawImage(canvas, i * side, 0));
    save(await sheet.convertToBlob({ type: "image/png" }), "completions.png");
  }

  rows.addEventListener("input", change);
  seed.addEventListener("input", () => running && stop());
  const again = () => {
    if (running) stop();
    seed.value = Number(seed.value) + 1;
    guarded(start);
  };
  const files = [fileButton("Open a picture", "image/*", (file) => open(file, ""))];
  if (page.example) files.push(button("Example", example));
  main.append(
    element(
      "section",
      { className: "stage", "aria-label": "Completions" },
      element(
        "div",
        { className: "settings" },
        toggler,
        button("Four others", again),
        element("label", {}, "Seed", seed),
        ...files,
        saver,
      ),
      element(
        "div",
        { className: "density" },
        element("div", { className: "wiped" }, element("figure", {}, original, rows, caption), note),
        element("div", {}, element("div", { className: "completions" }, ...canvases), progress, speed),
      ),
    ),
  );
  onDrop((file) => open(file, ""));
  if (page.example) example().then(() => guarded(start));
  else {
    rows.value = 0;
    change();
  }
}
