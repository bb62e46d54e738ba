/** Holds the model in a thread of its own; engine.js calls the functions below by name. A new job ends the one before. */

import * as ort from "./ort.js";
import { Model } from "./model.js";
import { complete } from "./sampling.js";

ort.env.wasm.numThreads = 1; // threads would need special headers of the server
ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", import.meta.url).href };

const PIECE = 200; // steps between two reports
let model = null;
let job = 0;

const functions = {
  async load() {
    model = await Model.load(ort, new URL("model.onnx", import.meta.url), { executionProviders: ["wasm"] });
    const { input, output, chunk, width } = model;
    return { class: model.class, input, output, chunk, width };
  },

  /** Report the outputs after each step of a sequence, piece by piece; of a model of whole sequences only the last. */
  async read(sequence, report, alive) {
    if (model.chunk === null) return report({ data: await model.outputs(sequence), steps: sequence.length / model.width });
    const stream = model.stream(), piece = PIECE * model.width;
    for (let start = 0; start < sequence.length && alive(); start += piece) {
      report(await stream.outputs(sequence.slice(start, start + piece)));
      await pause();
    }
  },

  /** Report pixels of completions as they are drawn, see sampling.js. */
  complete: (wanted, report, alive) => complete(model, wanted, report, alive, pause),

  stop() {},
};

self.addEventListener("message", async ({ data: { id, name, argument } }) => {
  const mine = ++job;
  const alive = () => mine === job;
  try {
    const value = await functions[name](argument, (part) => alive() && self.postMessage({ id, part }), alive);
    self.postMessage({ id, value: value ?? null });
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
});

/** Let the messages in. */
function pause() {
  return new Promise((resume) => setTimeout(resume));
}
