/** The page of a model that reads signals. */

import { Surface } from "./canvas.js";
import { button, complain, element, fileButton, guarded, onDrop } from "./dom.js";
import { checked } from "./model.js";
import { Reading } from "./reading.js";
import { readRecording } from "./recording.js";
import { MARGIN, drawTraces, heightOf, scalesOf } from "./traces.js";

const WINDOW = 10; // seconds that the width shows, or 100 steps each without a rate
const ACCEPT = ".csv,.tsv,.txt,.wav";

export function signalPage(main, about, engine, page) {
  const { input, output } = about, rate = input.rate ?? null;
  const channels = input.channels, span = WINDOW * (rate ?? 100);
  let signal = null;

  const reading = new Reading(about, engine, {
    says: (position) => when(position, reading?.length ?? 0, rate),
    when: "nothing read yet",
    margin: MARGIN,
    window: () => view(),
    onMove: () => traces.redraw(),
  });
  const canvas = element("canvas", { role: "img", "aria-label": `Signal of ${channels.length} channels: ${channels.join(", ")}` });
  const traces = new Surface(canvas, heightOf(channels.length, innerWidth < 600), (context, width, height) => {
    if (!signal) return;
    const [from, to] = view(), { position } = reading.player;
    const forecast = (channel) => (output.kind === "forecast" ? reading.running?.forecast(position, channel) : null) ?? null;
    drawTraces(context, width, height, { sequence: signal, channels, scales }, { position, from, to }, forecast);
  });
  let scales = [];
  const name = element("p", { className: "note" });

  /** Return the steps that the width shows: all if they fit, else a window that follows the position. */
  function view() {
    const length = reading?.length ?? 0, ahead = output.horizon ?? 0;
    if (reading?.whole) return [0, Math.max(2, length + ahead)];
    const shown = Math.max(2, Math.min(length + ahead, Math.max(span, 4 * ahead)));
    const from = Math.min(Math.max(0, reading.player.position + ahead - shown * (ahead ? 1 : 0.85)), length + ahead - shown);
    return [Math.max(0, from), Math.max(0, from) + shown];
  }

  const open = (blob, called) =>
    guarded(async () => {
      const sequence = checked(await readRecording(blob, called, input), input, null);
      signal = sequence;
      scales = scalesOf(sequence, channels.length, input.unit != null);
      const steps = sequence.length / channels.length;
      name.textContent = `${called}: ${rate ? `${(steps / rate).toFixed(2)} s, ` : ""}${steps.toLocaleString("en")} samples`;
      await reading.start(sequence, rate ?? 100);
    });
  const example = async () => open(await (await fetch(page.example)).blob(), page.example);

  const files = [fileButton("Open a file", ACCEPT, (file) => open(file, file.name))];
  if (page.example) files.push(button("Example", example));
  const stage = [canvas];
  if (reading.chart) stage.push(element("h2", { textContent: heading(output) }), reading.chart.canvas);
  main.append(
    element(
      "div",
      { className: "reader" },
      element("section", { className: "stage", "aria-label": "Signal" }, ...(reading.whole ? [] : [reading.player.root]), ...stage),
      element("div", { className: "side first" }, reading.answers.root),
      element("div", { className: "side files" }, ...files, reading.saver, name),
    ),
  );
  onDrop((file) => open(file, file.name));
  if (page.example) example();
  else complain("");
}

function heading({ kind, units = [] }) {
  if (kind === "value") return units.length === 1 && units[0] ? `Running value in ${units[0]}` : "Running values";
  return kind === "class" ? "Running probability of each class" : "Running probability of each label";
}

function when(position, length, rate) {
  if (rate) return `after ${(position / rate).toFixed(2)} of ${(length / rate).toFixed(2)} s`;
  return `after ${position.toLocaleString("en")} of ${length.toLocaleString("en")} steps`;
}
