/** Reads signals from CSV and WAV files as run.py does: the channels, units and rate of the model, nothing converted. */

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const NOT_FINITE = /^[+-]?(nan|inf|infinity)$/i;

/** Return the numbers of a file, step by step. */
export async function readRecording(file, name, input) {
  if (/\.wav$/i.test(name)) return fromWav(await file.arrayBuffer(), name, input);
  if (/\.(csv|tsv|txt)$/i.test(name)) return fromTable(await file.text(), name, input);
  throw new RangeError(`${name}: expected a .csv, .tsv, .txt or .wav file`);
}

/** Return the numbers of a table with a sample per line, with or without a header that names the channels. */
export function fromTable(text, name, input) {
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/);
  const separator = [";", "\t", ","].find((one) => lines[0].includes(one)) ?? null;
  let columns = input.channels.map((_, i) => i), width = columns.length;
  const values = [];
  lines.forEach((line, at) => {
    if (!line.trim()) return;
    const place = `${name}, line ${at + 1}`;
    const fields = (separator === null ? line.trim().split(/\s+/) : line.split(separator)).map(unquoted);
    if (at === 0 && !fields.every(isNumber)) {
      columns = columnsOf(fields, input, place);
      width = fields.length;
      return;
    }
    if (fields.length !== width) throw new RangeError(`${place}: expected ${width} columns, got ${fields.length}`);
    for (const column of columns) {
      if (!isNumber(fields[column])) throw new RangeError(`${place}: expected numbers, got "${fields[column]}"`);
      values.push(toNumber(fields[column]));
    }
  });
  if (!values.length) throw new RangeError(`${name}: expected at least one line of numbers`);
  return Float64Array.from(values);
}

/** Return the numbers of a WAV file of whole numbers, scaled to -1..1. */
export function fromWav(buffer, name, input) {
  const view = new DataView(buffer);
  const word = (at) => (at + 4 > buffer.byteLength ? "" : String.fromCharCode(...new Uint8Array(buffer, at, 4)));
  if (word(0) !== "RIFF" || word(8) !== "WAVE") throw new RangeError(`${name}: expected a WAV file`);
  let format = null;
  for (let at = 12; at + 8 <= buffer.byteLength; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2)) {
    if (word(at) === "fmt " && at + 24 <= buffer.byteLength) {
      format = { kind: view.getUint16(at + 8, true), channels: view.getUint16(at + 10, true) };
      format.rate = view.getUint32(at + 12, true);
      format.bytes = view.getUint16(at + 22, true) / 8;
    } else if (word(at) === "data" && format) {
      const size = Math.min(view.getUint32(at + 4, true), buffer.byteLength - at - 8);
      return pcm(view, at + 8, size, format, name, input);
    }
  }
  throw new RangeError(`${name}: expected a WAV file with samples, it is cut off`);
}

function pcm(view, start, size, { kind, channels, rate, bytes }, name, input) {
  if (![1, 0xfffe].includes(kind) || ![1, 2, 3, 4].includes(bytes)) {
    throw new RangeError(`${name}: expected a WAV file of whole numbers (PCM)`);
  }
  if (input.rate != null && rate !== input.rate) {
    throw new RangeError(`${name}: expected ${input.rate} samples per second, got ${rate}; resample it first`);
  }
  if (channels !== input.channels.length) {
    throw new RangeError(`${name}: expected ${input.channels.length} channels, got ${channels}`);
  }
  return Float64Array.from({ length: Math.floor(size / bytes / channels) * channels }, (_, i) => {
    const at = start + i * bytes;
    if (bytes === 1) return (view.getUint8(at) - 128) / 128;
    let value = view.getInt8(at + bytes - 1);
    for (let byte = bytes - 2; byte >= 0; byte--) value = value * 256 + view.getUint8(at + byte);
    return value / 2 ** (8 * bytes - 1);
  });
}

/** Return the column of each channel of the model; a header may name units, as in "I (mV)". */
function columnsOf(header, { channels, unit, reading = "exact" }, place) {
  const found = header.map((name) => name.match(/^(.*?)\s*[([](.*)[)\]]$/));
  const names = header.map((name, i) => (found[i] ? found[i][1] : name));
  const unnamed = channels.every((name, i) => name === `channel ${i + 1}`);
  if (unnamed && names.length === channels.length) return channels.map((_, i) => i);
  const lacking = channels.find((name) => names.filter((one) => one === name).length !== 1);
  if (lacking !== undefined) {
    throw new RangeError(`${place}: expected one column "${lacking}", got ${header.join(", ")}`);
  }
  if (names.length > channels.length && reading === "exact") {
    throw new RangeError(`${place}: expected the columns ${channels.join(", ")} alone, got ${header.join(", ")}`);
  }
  const columns = channels.map((name) => names.indexOf(name));
  const other = columns.find((column) => found[column] && unit != null && found[column][2] !== unit);
  if (other !== undefined) {
    throw new RangeError(`${place}: expected values in ${unit}, got ${header[other]}; convert them first`);
  }
  return columns;
}

function unquoted(field) {
  return field.trim().replace(/^"+|"+$/g, "");
}

function isNumber(field) {
  return field === "" || NUMBER.test(field) || NOT_FINITE.test(field);
}

/** Return a number; an empty field is a missing value, and so is an infinite one, which models take for missing. */
function toNumber(field) {
  return NUMBER.test(field) ? Number(field) : NaN;
}
