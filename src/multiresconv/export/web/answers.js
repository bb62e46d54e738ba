/** `Answers`: the answer after the steps read so far, as a headline and a bar for each name. */

import { hue } from "./canvas.js";
import { shortened } from "./chart.js";
import { element } from "./dom.js";

export class Answers {
  constructor({ kind, names, units = [] }, when) {
    this.kind = kind;
    this.names = names;
    this.units = units;
    this.headline = element("p", { className: "headline", textContent: "–" });
    this.note = element("p", { className: "note", textContent: when });
    this.when = when;
    this.bars = kind === "class" || kind === "labels";
    this.rows = names.map((name, i) => {
      const fill = element("i"), value = element("b", { textContent: "–" });
      fill.style.background = `var(${hue(i)})`;
      const label = element("span", { className: "name", textContent: name, title: name });
      const row = element("li", {}, label, ...(this.bars ? [element("span", { className: "bar" }, fill)] : []), value);
      row.style.setProperty("--own", `var(${hue(i)})`);
      return { row, fill, value };
    });
    this.spoken = element("p", { className: "unseen", "aria-live": "polite" });
    const list = element("ul", { className: this.bars ? "bars" : "values" }, ...this.rows.map(({ row }) => row));
    this.root = element("section", { className: "answers", "aria-label": "Answer" }, this.headline, this.note, list, this.spoken);
  }

  /** Show values, one for each name, or null for none; `still` is true if nothing moves, so that readers say it. */
  show(values, note, still) {
    this.note.textContent = values ? note : this.when;
    const best = values && this.bars ? values.indexOf(Math.max(...values)) : -1;
    this.rows.forEach(({ row, fill, value }, i) => {
      row.classList.toggle("best", i === best);
      fill.style.width = values ? `${(100 * values[i]).toFixed(2)}%` : "0";
      value.textContent = values ? this.text(values[i], i) : "–";
    });
    if (!values) this.headline.textContent = "–";
    else if (this.bars) this.headline.replaceChildren(this.names[best], " ", element("span", { textContent: this.text(values[best], best) }));
    else this.headline.textContent = this.names.length === 1 ? this.text(values[0], 0) : this.kind === "forecast" ? "Next" : "Now";
    if (still && values) this.spoken.textContent = `${this.headline.textContent}, ${note}`;
  }

  text(value, i) {
    if (this.bars) return `${(100 * value).toFixed(value > 0.9995 || value < 0.0005 ? 0 : 1)} %`;
    return `${shortened(value)} ${this.units[i] ?? ""}`.trim();
  }
}
