/**
 * Runs an ONNX file of `multiresconv export`: the twin of run.py for browsers and node.
 *
 *     import * as ort from "onnxruntime-web"; // or "onnxruntime-node"
 *     import { Model } from "./model.js";
 *
 *     const model = await Model.load(ort, "model.onnx");
 *     const answer = await model.predict(samples); // Map: name -> number, the most probable first
 *     const stream = model.stream();
 *     const next = await stream.push(chunk); // the answer after the last step of the chunk
 *
 * A sequence is one number after another, step by step: the channels of the first time step, then those of the second.
 * An array of arrays, one for each step, is accepted too. An image is read row by row, with levels from 0 to 255.
 */

const LARGEST = 1e18; // the square of a larger value is no float32

/** A model, as `multiresconv export` wrote it. */
export class Model {
  /**
   * Load a model.
   *
   * @param ort the module of onnxruntime-web or onnxruntime-node.
   * @param source the address of the file, in node also its path, or its bytes.
   * @param options options of `ort.InferenceSession.create`.
   */
  static async load(ort, source, options = {}) {
    const bytes = await bytesOf(source);
    const about = metadata(bytes);
    for (const name of ["class", "input", "output", "chunk"]) {
      if (!(name in about)) throw new Error(`model: expected a file of multiresconv export, without "${name}" it is none`);
    }
    return new Model(ort, await ort.InferenceSession.create(bytes, options), about);
  }

  /** Use `load`. */
  constructor(ort, session, about) {
    this.ort = ort;
    this.session = session;
    /** name of the model's class */
    this.class = about.class;
    /** descriptions of input and output, as in the config.json of a model folder */
    this.input = JSON.parse(about.input);
    this.output = JSON.parse(about.output);
    /** largest number of steps of a chunk, or null if the model takes whole sequences */
    this.chunk = JSON.parse(about.chunk);
    /** of a density model in chunks: the pixel that stands before the first one, else null */
    this.before = JSON.parse(about.before ?? "null");
    /** numbers of a step: 1 for tokens */
    this.width = this.input.kind === "tokens" ? 1 : this.input.channels.length;
  }

  /**
   * Return the answer for one sequence or image.
   *
   * Of classes and labels: a Map from name to probability, the most probable first. Of values: from name to value. Of
   * forecasts: from name to an object, quantile or "value" -> the next values. Of a density: an array with the
   * distribution of each pixel, see `distribution`.
   *
   * @throws RangeError the sequence does not fit the model; the message says where and what was expected.
   */
  async predict(x) {
    const sequence = this.input.kind === "image" ? inOrder(x, this.input) : x;
    const outputs = await this.outputs(sequence);
    if (this.output.kind !== "density") return this.answer(outputs);
    const size = outputs.length / (flat(sequence).length / this.width);
    return rows(outputs, size).map((params) => distribution(params, this.width));
  }

  /** Return the outputs for one sequence: those after its last step, but of a density those of every step. */
  async outputs(x) {
    const density = this.output.kind === "density";
    if (this.chunk !== null) {
      const pixels = density ? checked(x, this.input, null) : x;
      const sequence = density ? [...this.before, ...pixels.slice(0, -this.width)] : x;
      const found = await this.stream().outputs(sequence);
      return density ? found.data : last(found);
    }
    const sequence = checked(x, this.input, null);
    const steps = sequence.length / this.width;
    const lengths = new this.ort.Tensor("int32", Int32Array.of(steps), [1]);
    const { y } = await this.session.run({ x: this.tensor(sequence, 1), lengths });
    return y.data;
  }

  /** Return a stream before its first step. */
  stream() {
    return new Stream(this);
  }

  /** Turn outputs for one sequence into values by name, see `predict`. */
  answer(outputs) {
    const { kind, names = [], quantiles = [] } = this.output;
    if (kind === "density") throw new Error("answer: a density model labels nothing; predict() gives distributions");
    if (!outputs.every(Number.isFinite)) {
      throw new RangeError("predict: the model gives a value that is not finite; its input has extreme values");
    }
    const values = Array.from(outputs);
    if (kind === "value") return new Map(names.map((name, i) => [name, values[i]]));
    if (kind === "forecast") return forecasts(values, names, quantiles);
    const found = probabilities(values, kind);
    return new Map(names.map((name, i) => [name, found[i]]).sort((a, b) => b[1] - a[1]));
  }

  /** Return a tensor of `batch` sequences of equal length, in the type of the model's input. */
  tensor(sequence, batch) {
    const shape = [batch, sequence.length / this.width / batch];
    if (this.input.kind !== "tokens") shape.push(this.width);
    const whole = this.session.inputMetadata[0].type === "int32";
    const data = whole ? Int32Array.from(sequence) : Float32Array.from(sequence);
    return new this.ort.Tensor(whole ? "int32" : "float32", data, shape);
  }
}

/** A stream of one sequence, or of several of equal length that advance together. */
export class Stream {
  constructor(model, batch = 1) {
    if (model.chunk === null) {
      throw new Error("stream: this model takes whole sequences; export it again with --chunk 1000");
    }
    this.model = model;
    this.batch = batch;
    this.last = null;
    this.state = {};
    for (const { name, type, shape } of model.session.inputMetadata.slice(1)) {
      const dims = [batch, ...shape.slice(1)];
      const size = dims.reduce((a, b) => a * b, 1);
      this.state[name] = new model.ort.Tensor(type, type === "int32" ? new Int32Array(size) : new Float32Array(size), dims);
    }
  }

  /** Read the next step or chunk of one sequence; return the answer for the sequence so far. */
  async push(x) {
    return this.model.answer(last(await this.outputs(x)));
  }

  /** Return the outputs after each step of a chunk of one sequence: data, one step after another, and number of steps. */
  async outputs(x) {
    const { model } = this;
    const sequence = checked(x, model.input, this.last);
    this.last = sequence.slice(-model.width);
    const steps = sequence.length / model.width;
    let data = null;
    for (let start = 0; start < steps; start += model.chunk) {
      const part = sequence.slice(start * model.width, (start + model.chunk) * model.width);
      const y = await this.run(part);
      data ??= new Float32Array((y.length / (part.length / model.width)) * steps);
      data.set(y, (data.length / steps) * start);
    }
    return { data, steps };
  }

  /** Return the outputs after each of at most `chunk` steps of every sequence, without checks. */
  async run(part) {
    const found = await this.model.session.run({ x: this.model.tensor(part, this.batch), ...this.state });
    for (const name of Object.keys(this.state)) this.state[name] = found[`next_${name}`];
    return found.y.data;
  }
}

/** Return the probability of each name from logits: of "class" they add up to 1, of "labels" each is its own. */
export function probabilities(logits, kind) {
  const highest = kind === "class" ? logits.reduce((a, b) => Math.max(a, b)) : 0;
  const odds = Array.from(logits, (logit) => (kind === "class" ? Math.exp(logit - highest) : 1 / (1 + Math.exp(-logit))));
  const sum = kind === "class" ? odds.reduce((a, b) => a + b) : 1;
  return odds.map((value) => value / sum);
}

/**
 * Return the distribution of a pixel from the outputs of a density model: a mixture of discretized logistics.
 *
 * `logits` are those of the components. Each channel has `means` and `logScales` in units of half the range of levels,
 * and with three channels `coefficients`, before tanh: second on first, third on first, third on second.
 */
export function distribution(params, channels) {
  const size = params.length / (channels === 1 ? 3 : 10);
  const part = (number) => Array.from(params.slice(number * size, (number + 1) * size));
  const wide = channels === 1 ? 2 : 3;
  return {
    logits: part(0),
    channels: Array.from({ length: channels }, (_, channel) => ({
      means: part(1 + wide * channel),
      logScales: part(2 + wide * channel),
      coefficients: channels === 1 ? [] : part(3 + wide * channel),
    })),
  };
}

/** Return the numbers of the tokens in a line of text, with the end that the model wants. */
export function tokens(text, input) {
  const ignored = new Set(input.ignored ?? "");
  const words = [...text].map((character) => (ignored.has(character) ? " " : character)).join("").split(/\s+/).filter(Boolean);
  const unknown = words.find((word) => !input.vocabulary.includes(word));
  if (unknown !== undefined) {
    throw new RangeError(`unknown token "${unknown}", expected one of ${input.vocabulary.join(" ")}`);
  }
  if (!words.length) throw new RangeError("expected tokens, got none");
  const numbers = [...words, ...(input.end == null ? [] : [input.end])].map((word) => input.vocabulary.indexOf(word));
  if (input.max_tokens != null && numbers.length > input.max_tokens) {
    throw new RangeError(`expected at most ${input.max_tokens} tokens, got ${numbers.length}`);
  }
  return numbers;
}

/** Return the pixels of an image (side * side * channels levels, row by row) in the order in which the model reads them. */
export function inOrder(image, input) {
  const levels = flat(image), { side, order } = input, channels = input.channels.length;
  if (levels.length !== side * side * channels) {
    throw new RangeError(`image: expected ${side} x ${side} pixels of ${channels} levels, got ${levels.length} levels`);
  }
  if (!levels.every((level) => level >= 0 && level <= 255)) {
    throw new RangeError("image: expected levels from 0 to 255, got others");
  }
  return order ? order.flatMap((place) => Array.from(levels.slice(place * channels, (place + 1) * channels))) : levels;
}

/** Check a sequence and treat its missing values as the model's input says; `before` is the step before it, or null. */
export function checked(x, input, before) {
  const sequence = flat(x);
  if (input.kind === "tokens") {
    const size = input.vocabulary.length;
    if (!sequence.length || !sequence.every((token) => Number.isInteger(token) && token >= 0 && token < size)) {
      throw new RangeError(`x: expected at least one token, whole numbers from 0 to ${size - 1}`);
    }
    return sequence;
  }
  const width = input.channels.length;
  if (sequence !== x && !x.every((step) => step.length === width)) {
    throw new RangeError(`x: expected ${width} numbers for each step`);
  }
  if (!sequence.length || sequence.length % width || !sequence.every((value) => typeof value === "number")) {
    throw new RangeError(`x: expected numbers, ${width} for each of at least one step, got ${sequence.length} values`);
  }
  const isBad = (value) => !(Math.abs(value) <= LARGEST);
  const first = sequence.findIndex(isBad);
  if (first < 0) return sequence;
  const missing = input.missing ?? "refuse", where = `step ${Math.floor(first / width) + 1}, ${input.channels[first % width]}`;
  if (missing === "refuse") throw new RangeError(`${where}: expected a finite number, got ${sequence[first]}; mend it`);
  if (missing === "mask") return sequence.map((value) => (isBad(value) ? NaN : value));
  const held = Array.from(sequence);
  held.forEach((value, i) => {
    if (!isBad(value)) return;
    const source = i < width ? before?.[i] : held[i - width];
    if (source === undefined) {
      throw new RangeError(`${where}: expected a number before the first missing value, which there is to hold`);
    }
    held[i] = source;
  });
  return held;
}

/** Return the custom metadata of an ONNX file, which onnxruntime-web does not show: ModelProto.metadata_props. */
export function metadata(bytes) {
  const found = {}, text = new TextDecoder();
  for (const [field, entry] of fields(bytes)) {
    if (field !== 14) continue;
    const pair = Object.fromEntries([...fields(entry)].map(([number, value]) => [number, text.decode(value)]));
    found[pair[1]] = pair[2];
  }
  return found;
}

/** Yield number and bytes of each field of a protobuf message that has a length; skip the others. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    for (let value = 0, unit = 1; at < bytes.length; unit *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
    throw new RangeError("model: expected an ONNX file, it is cut off or another kind of file");
  };
  while (at < bytes.length) {
    const key = varint(), type = key % 8;
    if (type === 2) {
      const end = varint() + at;
      if (end > bytes.length) throw new RangeError("model: expected a whole ONNX file, it is cut off");
      yield [Math.floor(key / 8), bytes.subarray(at, end)];
      at = end;
    } else if (type === 0) varint();
    else if (type === 1 || type === 5) at += type === 1 ? 8 : 4;
    else throw new RangeError("model: expected an ONNX file, got another kind of file");
  }
}

async function bytesOf(source) {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  const address = String(source);
  if (typeof process !== "undefined" && process.versions?.node && !/^https?:/.test(address)) {
    const { readFile } = await import("node:fs/promises");
    return new Uint8Array(await readFile(address.startsWith("file:") ? new URL(address) : address));
  }
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

function forecasts(values, names, quantiles) {
  const levels = quantiles.length ? quantiles.map(String) : ["value"];
  const next = (i, q) => values.filter((_, at) => at % (names.length * levels.length) === i * levels.length + q);
  return new Map(names.map((name, i) => [name, Object.fromEntries(levels.map((level, q) => [level, next(i, q)]))]));
}

/** Return a sequence as an array of numbers, whether it is one or an array of arrays. */
function flat(x) {
  if (ArrayBuffer.isView(x)) return x;
  if (!Array.isArray(x)) throw new TypeError(`x: expected an array of numbers, got ${x === null ? "null" : typeof x}`);
  return x.some((step) => typeof step === "object" && step !== null) ? x.flatMap((step) => Array.from(step)) : x;
}

function last({ data, steps }) {
  return data.slice(-(data.length / steps));
}

function rows(data, size) {
  return Array.from({ length: data.length / size }, (_, i) => data.slice(i * size, (i + 1) * size));
}
