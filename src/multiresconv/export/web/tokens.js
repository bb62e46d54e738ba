/** The page of a model that reads tokens: a text, and the running answer below each of its tokens. */

import { button, element, guarded } from "./dom.js";
import { hue } from "./canvas.js";
import { tokens } from "./model.js";
import { Reading } from "./reading.js";

const PER_SECOND = 6; // tokens read at speed 1
const LISTOPS = "[MAX 2 9 [MIN 4 7 ] [SM 8 5 1 ] 0 ]";
const DELAY = 400; // milliseconds after the last key

export function tokensPage(main, about, engine, page) {
  const { input, output } = about, labelled = output.kind === "class" || output.kind === "labels";
  let chips = [], timer = 0;
  const list = element("ol", { className: "chips", "aria-label": "Tokens and the answer after each" });
  const reading = new Reading(about, engine, {
    says: (position) => `after ${position} of ${chips.length} tokens`,
    when: "nothing read yet",
    margin: 46,
    window: () => [Math.min(1, Math.max(0, chips.length - 1)), Math.max(2, chips.length)],
    onMove: () => paint(),
  });
  const text = element("textarea", { spellcheck: false, id: "text", "aria-label": "Text of tokens" });
  text.placeholder = `tokens between blanks: ${input.vocabulary.slice(0, 20).join(" ")}`;

  function paint() {
    const { running, player } = reading ?? {};
    chips.forEach((chip, i) => {
      const values = i < player.position && labelled ? running?.values(i + 1) : null;
      const best = values ? values.indexOf(Math.max(...values)) : -1;
      chip.item.classList.toggle("read", i < player.position);
      chip.item.classList.toggle("now", i + 1 === player.position);
      chip.item.style.setProperty("--own", best < 0 ? "var(--faint)" : `var(${hue(best)})`);
      chip.answer.textContent = best < 0 ? "" : output.names[best];
    });
  }

  const read = () =>
    guarded(async () => {
      if (!text.value.trim()) {
        list.replaceChildren();
        chips = [];
        return reading.clear();
      }
      const numbers = tokens(text.value, input);
      chips = numbers.map((number, i) => {
        const answer = element("small");
        const item = element("li", {}, input.vocabulary[number], answer);
        if (!reading.whole) {
          item.addEventListener("click", () => {
            reading.player.play(false);
            reading.player.seek(i + 1);
          });
        }
        return { item, answer };
      });
      list.replaceChildren(...chips.map(({ item }) => item));
      await reading.start(numbers, PER_SECOND, { token: numbers.map((number) => input.vocabulary[number]) });
    });
  const put = (value) => {
    text.value = value;
    return read();
  };
  const example = async () => put(page.example ? (await (await fetch(page.example)).text()).split("\n")[0] : LISTOPS);

  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(read, DELAY);
  });
  const files = [button("Read", read, { className: "primary" })];
  if (page.example || input.syntax === "listops") files.push(button("Example", example));
  const chart = reading.chart ? [element("h2", { textContent: "Running answer after each token" }), reading.chart.canvas] : [];
  main.append(
    element(
      "div",
      { className: "reader" },
      element(
        "section",
        { className: "stage", "aria-label": "Text" },
        element("h2", { textContent: "Text" }),
        text,
        element("h2", { textContent: labelled && !reading.whole ? "Tokens, and the likeliest answer after each" : "Tokens" }),
        list,
        ...(reading.whole ? [] : [reading.player.root]),
        ...chart,
      ),
      element("div", { className: "side" }, reading.answers.root),
      element("div", { className: "side files" }, ...files, reading.saver),
    ),
  );
  if (files.length > 1) example();
}
