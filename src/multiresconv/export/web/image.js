/** The page of a model that reads images: draw one, or open a picture, and watch it being read pixel by pixel. */

import { Board, SIZE } from "./board.js";
import { centred } from "./centring.js";
import { button, element, fileButton, guarded, onDrop } from "./dom.js";
import { inOrder } from "./model.js";
import { readPicture, show } from "./picture.js";
import { Reading } from "./reading.js";
import { isDigits } from "./words.js";

const SECONDS = 5; // of reading an image at speed 1
const MARGIN = 46;
const UNREAD = 0.3; // brightness of pixels that are not read yet

export function imagePage(main, about, engine, page) {
  const { input, output } = about, { side, channels, order = null } = input, pixels = side * side;
  const drawn = channels.length === 1;
  const turn = new Map((order ?? []).map((place, step) => [place, step])); // when each pixel is read
  let levels = null, fresh = true;

  const read = element("canvas", { className: "pixels", role: "img", "aria-label": `The ${side} × ${side} pixels that the network reads` });
  const reading = new Reading(about, engine, {
    says: (position) => `after ${position} of ${pixels} pixels`,
    when: drawn ? "draw something" : "open a picture",
    margin: MARGIN,
    window: () => [0, pixels],
    onMove: () => paint(),
  });
  const note = element("p", { className: "note" });
  const board = new Board((ink) => {
    const image = centred(ink, SIZE, side);
    fresh = false;
    if (image) open(image, "Your drawing: scaled to 20/28 of the height or width, and its centre of mass moved to the middle, like MNIST's digits.");
  });
  board.onDown = () => {
    if (fresh) board.clear();
    fresh = false;
    reading.player.play(false);
  };

  function paint() {
    const position = reading?.player.position ?? 0;
    const shade = reading?.whole ? () => 1 : (i) => ((order ? turn.get(i) : i) < position ? 1 : UNREAD);
    show(read, levels ?? new Uint8Array(pixels * channels.length), channels.length, shade);
  }

  const open = (image, said) =>
    guarded(async () => {
      levels = image;
      note.textContent = said;
      const sequence = inOrder(image, input);
      const columns = Object.fromEntries(
        channels.map((name, channel) => [name, Array.from({ length: pixels }, (_, step) => sequence[step * channels.length + channel])]),
      );
      await reading.start(sequence, pixels / SECONDS, columns);
    });
  const openFile = (file, said = "") =>
    guarded(async () => {
      const picture = await readPicture(file, input);
      if (drawn) board.show(picture.levels, side);
      fresh = true; // the next stroke begins a new drawing
      await open(picture.levels, [said, picture.note].filter(Boolean).join(" "));
    });
  const example = async () => openFile(await (await fetch(page.example)).blob(), drawn ? "An example. Draw over it to try your own." : "An example.");
  const clear = () => {
    board.clear();
    levels = null;
    note.textContent = "";
    reading.clear();
  };

  const figures = element("div", { className: "pictures" });
  if (drawn) figures.append(figure(board.canvas, isDigits(output) ? "Draw a digit here" : "Draw here"));
  figures.append(figure(read, "What the network has read"));
  const files = [];
  if (drawn) files.push(button("Clear", clear));
  if (page.example) files.push(button("Example", example));
  files.push(fileButton("Open a picture", "image/*", (file) => openFile(file)));
  const chart = reading.chart ? [element("h2", { textContent: "Running answer after each pixel" }), reading.chart.canvas] : [];
  main.append(
    element(
      "div",
      { className: "reader" },
      element(
        "section",
        { className: "stage", "aria-label": "Picture" },
        element("div", { className: "drawing" }, figures),
        ...(reading.whole ? [] : [reading.player.root]),
        ...chart,
      ),
      element("div", { className: "side" }, reading.answers.root),
      element("div", { className: "side files" }, ...files, reading.saver, note),
    ),
  );
  onDrop((file) => openFile(file));
  paint();
  if (page.example) example();
}

function figure(canvas, caption) {
  return element("figure", {}, canvas, element("figcaption", { textContent: caption }));
}
