/** Draws the rest of an image several times from a density model, one pixel after another. */

import { Stream, distribution } from "./model.js";
import { Random } from "./random.js";

const HALF_RANGE = 127.5;
const MIN_LOG_SCALE = -7;

/**
 * Complete an image `count` times.
 *
 * @param model a density model in chunks.
 * @param wanted { prefix, count, seed, pixels }: the levels that are kept, number of completions, seed, and pixels of the
 *   whole image. The completions advance together, each with random numbers of its own.
 * @param report gets { at, levels } with the levels of pixel `at` of every completion, one after another.
 * @param alive tells whether to go on.
 * @param pause lets messages in, now and then.
 */
export async function complete(model, { prefix, count, seed, pixels }, report, alive, pause) {
  const { width } = model, given = prefix.length / width;
  const stream = new Stream(model, count);
  const randoms = Array.from({ length: count }, (_, row) => new Random(seed, row));
  const start = [...model.before, ...prefix];
  let params = null;
  for (let step = 0; step <= given; step += model.chunk) {
    const part = start.slice(step * width, (step + model.chunk) * width);
    const found = await stream.run(Array.from({ length: count }, () => part).flat());
    params = lastOfEach(found, count, part.length / width);
    await pause();
  }
  let paused = performance.now();
  for (let at = given; at < pixels && alive(); at++) {
    const levels = randoms.flatMap((random, row) => draw(distribution(params[row], width), random));
    report({ at, levels });
    if (at + 1 < pixels) params = lastOfEach(await stream.run(levels), count, 1);
    if (performance.now() - paused > 30) {
      await pause();
      paused = performance.now();
    }
  }
}

/** Draw the levels of a pixel: a component of the mixture, then each channel given the ones before it. */
export function draw({ logits, channels }, random) {
  const noisy = logits.map((logit) => logit + random.gumbel());
  const chosen = noisy.indexOf(Math.max(...noisy));
  const levels = [];
  for (const { means, logScales } of channels) {
    const spread = Math.exp(Math.max(logScales[chosen], MIN_LOG_SCALE)) * random.logistic();
    let level = HALF_RANGE * (means[chosen] + spread);
    const coefficient = (i) => Math.tanh(channels[i].coefficients[chosen]);
    if (levels.length === 1) level += coefficient(0) * levels[0];
    if (levels.length === 2) level += coefficient(1) * levels[0] + coefficient(2) * levels[1];
    levels.push(Math.min(Math.max(Math.floor(level), -128), 127) + 0.5);
  }
  return levels.map((level) => level + HALF_RANGE);
}

function lastOfEach(outputs, count, steps) {
  const size = outputs.length / count / steps;
  return Array.from({ length: count }, (_, row) => outputs.slice(((row + 1) * steps - 1) * size, (row + 1) * steps * size));
}
