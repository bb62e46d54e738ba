/** Calls the worker that holds the model, so that the page stays alive while it computes. */

export class Engine {
  constructor() {
    this.calls = new Map();
    this.next = 0;
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.receive(data));
    this.worker.addEventListener("error", (event) => {
      for (const { reject } of this.calls.values()) reject(new Error(`worker: ${event.message ?? "it did not start"}`));
    });
  }

  /** Call a function of worker.js; `onPart` gets what it reports on the way. */
  call(name, argument, onPart = () => {}) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject, onPart });
      this.worker.postMessage({ id, name, argument });
    });
  }

  receive({ id, part, value, error }) {
    const call = this.calls.get(id);
    if (part !== undefined) return call.onPart(part);
    this.calls.delete(id);
    if (error !== undefined) call.reject(new Error(error));
    else call.resolve(value);
  }
}
