/** Opens the page of the model: what it shows depends on the model's input and output. */

import { densityPage } from "./density.js";
import { complain } from "./dom.js";
import { Engine } from "./engine.js";
import { imagePage } from "./image.js";
import { signalPage } from "./signal.js";
import { tokensPage } from "./tokens.js";
import { leadOf, titleOf } from "./words.js";

const engine = new Engine();
const main = document.getElementById("main");

try {
  const [about, page] = await Promise.all([engine.call("load"), (await fetch("page.json")).json()]);
  document.title = document.getElementById("title").textContent = titleOf(about);
  document.getElementById("lead").textContent = leadOf(about);
  document.getElementById("source").textContent =
    `Every number is computed on this device, by a ${about.class} of ${page.weights.toLocaleString("en")} weights from ` +
    `“${page.source}”. Nothing is sent anywhere. Made by multiresconv export.`;
  const open = about.output.kind === "density" ? densityPage : { signal: signalPage, image: imagePage, tokens: tokensPage }[about.input.kind];
  open(main, about, engine, page);
} catch (error) {
  document.getElementById("title").textContent = "The model did not load";
  document.getElementById("lead").textContent = "";
  complain(error.message);
}
main.removeAttribute("aria-busy");
