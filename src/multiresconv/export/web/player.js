/** Play, pause, speed, restart and a slider for the position in a sequence; space and arrow keys work on the whole page. */

import { button, element } from "./dom.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 20];

export class Player {
  /** `onMove()` is called when `position`, the number of steps read, has changed; `says(position)` is its text. */
  constructor(onMove, says) {
    this.onMove = onMove;
    this.says = says;
    this.length = this.position = this.ready = 0;
    this.playing = false;
    this.toggler = button("Play", () => this.toggle(), { className: "primary" });
    this.slider = element("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Position" });
    this.slider.addEventListener("input", () => {
      this.play(false);
      this.seek(Number(this.slider.value));
    });
    this.speed = element("select", { "aria-label": "Speed" });
    for (const speed of SPEEDS) this.speed.append(element("option", { value: speed, textContent: `${speed} ×` }));
    this.speed.value = "1";
    this.text = element("output", { className: "position" });
    this.root = element(
      "div",
      { className: "player", role: "group", "aria-label": "Playback" },
      this.toggler,
      button("Restart", () => this.restart()),
      this.speed,
      this.slider,
      this.text,
    );
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Begin with a sequence of another length. */
  open(length, stepsPerSecond) {
    this.length = length;
    this.rate = stepsPerSecond;
    this.ready = 0;
    this.exact = this.position = 0;
    this.slider.max = length;
    this.play(false);
    this.seek(0);
  }

  /** Say how many steps have answers. */
  arrived(steps) {
    this.ready = steps;
    this.onMove();
  }

  toggle() {
    if (!this.playing && this.position >= this.length) this.seek(0);
    this.play(!this.playing);
  }

  restart() {
    this.seek(0);
    this.play(true);
  }

  /** Play or pause; who wants less motion on the screen goes to the end at once. */
  play(on) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (on && still) return this.seek(this.length);
    this.playing = on && this.length > 0;
    this.toggler.textContent = this.playing ? "Pause" : "Play";
    if (!this.playing) return;
    let before = performance.now();
    const tick = (now) => {
      if (!this.playing || this.token !== tick) return;
      const step = (Math.max(0, now - before) / 1000) * this.rate * Number(this.speed.value);
      before = now;
      this.exact = Math.min(this.exact + step, this.ready);
      this.move(Math.floor(this.exact));
      if (this.position >= this.length) this.play(false);
      else requestAnimationFrame(tick);
    };
    this.token = tick;
    requestAnimationFrame(tick);
  }

  /** Jump to a position. */
  seek(position) {
    this.exact = Math.min(Math.max(position, 0), this.length);
    this.move(Math.floor(this.exact));
  }

  move(position) {
    this.position = position;
    this.slider.value = position;
    this.text.textContent = this.says(position);
    this.slider.setAttribute("aria-valuetext", this.text.textContent);
    this.onMove();
  }

  onKey(event) {
    if (!this.length || !this.root.isConnected || event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const far = event.shiftKey ? Math.max(1, Math.round(this.length / 20)) : 1;
    const jumps = { ArrowLeft: this.position - far, ArrowRight: this.position + far, Home: 0, End: this.length };
    if (event.key === " " && !event.target.closest("button, a")) this.toggle();
    else if (event.key in jumps) {
      this.play(false);
      this.seek(jumps[event.key]);
    } else return;
    event.preventDefault();
  }
}
