/** `Reading`: a sequence that the model reads step by step: player, running answer, bars, and the numbers as a file. */

import { Answers } from "./answers.js";
import { Chart } from "./chart.js";
import { button, guarded, save } from "./dom.js";
import { Player } from "./player.js";
import { Running } from "./running.js";

const DIGITS = 9; // enough for every float32

export class Reading {
  /**
   * @param about what the model says of itself.
   * @param engine the worker.
   * @param view { says(position): text, onMove(): void, window(): [from, to], margin: pixels left of the chart,
   *   when: text before the first step }.
   */
  constructor(about, engine, view) {
    Object.assign(this, { about, engine, view });
    this.whole = about.chunk === null;
    this.sequence = [];
    this.running = null;
    this.player = new Player(() => this.update(), (position) => view.says(position));
    this.answers = new Answers(about.output, view.when);
    this.chart = about.output.kind === "forecast" || this.whole ? null : new Chart(view.margin);
    this.saver = button("Save numbers", () => this.saveNumbers(), { disabled: true, title: "A CSV file with a line per step" });
  }

  /** Number of steps. */
  get length() {
    return this.sequence.length / this.about.width;
  }

  /** Begin with a sequence; its steps play at `stepsPerSecond`. `extra` has further columns for the file of numbers. */
  async start(sequence, stepsPerSecond, extra = {}) {
    this.sequence = sequence;
    this.extra = extra;
    const running = (this.running = new Running(this.about.output, this.length, this.whole));
    this.player.open(this.length, stepsPerSecond);
    this.saver.disabled = true;
    this.engine
      .call("read", sequence, ({ data, steps }) => {
        if (running !== this.running) return;
        running.push(data, steps);
        this.saver.disabled = running.known < running.length;
        this.player.arrived(running.known);
      })
      .catch((error) => guarded(() => Promise.reject(error)));
    if (this.whole) this.player.seek(this.length);
    else this.player.play(true);
  }

  /** Forget the sequence. */
  clear() {
    this.running = null;
    this.sequence = [];
    this.saver.disabled = true;
    this.engine.call("stop");
    this.player.open(0, 1);
  }

  update() {
    const { player, running, view } = this;
    this.answers.show(running?.values(player.position) ?? null, view.says(player.position), !player.playing);
    if (this.chart) this.chart.show(running, player.position, ...view.window());
    view.onMove();
  }

  saveNumbers() {
    const { running, extra, about } = this, { names, quantiles = [], horizon } = about.output;
    const numbers = (values) => Array.from(values, (value) => Number(value).toPrecision(DIGITS));
    let header = names, row = (step) => running.values(step);
    if (about.output.kind === "forecast") {
      const levels = quantiles.length ? quantiles : ["value"];
      const ahead = Array.from({ length: horizon }, (_, h) => h + 1);
      header = ahead.flatMap((h) => names.flatMap((name) => levels.map((level) => `${name} +${h} ${level}`)));
      row = (step) => running.outputs(step);
    }
    const quoted = (name) => (/[",\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);
    const lines = [["step", ...Object.keys(extra), ...header].map(quoted).join(",")];
    for (let step = 1; step <= running.length; step++) {
      const values = row(step);
      if (values) lines.push([step, ...Object.values(extra).map((column) => column[step - 1]), ...numbers(values)].join(","));
    }
    save(`${lines.join("\n")}\n`, "numbers.csv");
  }
}
