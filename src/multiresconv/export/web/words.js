/** What the page says of its model. */

const NAMES = 6; // at most as many names are listed

export function titleOf({ input, output }) {
  if (output.kind === "density") return "A network completes your picture";
  if (output.kind === "forecast") return "A network forecasts a signal while it runs";
  if (input.kind === "image") return isDigits(output) ? "A network reads your digit" : "A network reads a picture";
  return input.kind === "tokens" ? "A network reads a text token by token" : "A network reads a signal while it runs";
}

/** Return true if the classes are the ten digits. */
export function isDigits({ names }) {
  return names?.join() === "0,1,2,3,4,5,6,7,8,9";
}

/** Return one or two sentences on what is seen. */
export function leadOf({ input, output, chunk }) {
  if (output.kind === "density") {
    return "Rows below the line are wiped out. The network draws them anew, four times, one pixel after another: each from all pixels before it.";
  }
  const what = { signal: signalOf, image: imageOf, tokens: tokensOf }[input.kind](input);
  const names = output.kind === "class" || output.kind === "labels" ? ` (${listed(output.names)})` : "";
  const answers = { class: `how likely each class${names} is`, labels: `how likely each label${names} is`, value: valuesOf(output) };
  answers.forecast = `the next ${output.horizon} values${output.quantiles?.length ? ", with the range in which they should lie" : ""}`;
  if (chunk === null) return `The network reads ${what} as a whole, and says ${answers[output.kind]}.`;
  const step = { signal: "sample", image: "pixel", tokens: "token" }[input.kind];
  return `The network reads ${what}. After every ${step} it says ${answers[output.kind]}, from all it has read so far.`;
}

function signalOf({ channels, unit, rate }) {
  const of = channels.length === 1 ? "one channel" : `${channels.length} channels`;
  return `${of}${unit ? ` in ${unit}` : ""}${rate ? `, ${rate} samples per second` : ""}`;
}

function imageOf({ side, order }) {
  return `${side} × ${side} pixels one by one, ${order ? "in a mixed-up order that it always uses" : "row by row"}`;
}

function tokensOf({ syntax }) {
  return syntax === "listops" ? "an expression of nested MIN, MAX, MED (median) and SM (sum modulo 10)" : "a line of tokens";
}

function valuesOf({ names, units = [] }) {
  return listed(names.map((name, i) => (units[i] ? `${name} in ${units[i]}` : name)));
}

function listed(names) {
  if (names.length > 2 && names.every((name, i) => name === String(i))) return `0 to ${names.length - 1}`;
  return names.length > NAMES ? `${names.slice(0, NAMES).join(", ")} and ${names.length - NAMES} more` : names.join(", ");
}
