/** Draws the channels of a signal above each other, and forecasts after the last step read. */

import { colour, hue } from "./canvas.js";
import { line } from "./chart.js";

export const MARGIN = 46; // for the names of the channels
const LANES = { tallest: 170, tall: 44, low: 18, most: 480 };

/** Return the height for a number of channels, in CSS pixels; on a narrow screen it is lower. */
export function heightOf(channels, narrow) {
  if (narrow) return Math.min(heightOf(channels, false), Math.max(channels * LANES.low, 280));
  if (channels < 3) return channels * LANES.tallest;
  return Math.max(LANES.low * Math.min(channels, 64), Math.min(channels * LANES.tall, LANES.most));
}

/** Return the middle and the range of each channel; channels of one unit share a range. */
export function scalesOf(sequence, channels, shared) {
  const scales = Array.from({ length: channels }, (_, channel) => {
    const values = [];
    const every = Math.max(1, Math.floor(sequence.length / channels / 5000));
    for (let i = channel; i < sequence.length; i += channels * every) if (!Number.isNaN(sequence[i])) values.push(sequence[i]);
    values.sort((a, b) => a - b);
    const at = (part) => values[Math.min(values.length - 1, Math.floor(part * values.length))] ?? 0;
    return shared ? { middle: at(0.5), range: at(0.995) - at(0.005) } : { middle: (at(0) + at(1)) / 2, range: at(1) - at(0) };
  });
  const widest = scales.reduce((most, { range }) => Math.max(most, range), 0) || 1;
  return scales.map(({ middle, range }) => ({ middle, range: (shared ? widest : range) || 1 }));
}

/**
 * Draw a signal.
 *
 * @param signal { sequence, channels: names, scales }.
 * @param view { position, from, to }: steps read, and the steps that the width covers.
 * @param forecast a function of the number of a channel that returns lists of the next values for each quantile, or null.
 */
export function drawTraces(context, width, height, { sequence, channels, scales }, { position, from, to }, forecast) {
  const count = channels.length, length = sequence.length / count, lane = height / count;
  const x = (step) => MARGIN + ((step - from) / (to - from)) * (width - MARGIN - 2);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  channels.forEach((name, channel) => {
    const { middle, range } = scales[channel];
    const y = (value) => (channel + 0.5) * lane - ((value - middle) / range) * lane * (count > 2 ? 1.6 : 0.8);
    context.fillStyle = colour("--faint");
    if (lane > 60) context.fillText(name, 0, channel * lane + 7);
    else context.fillText(name.length > 6 ? `${name.slice(0, 5)}…` : name, 0, (channel + 0.5) * lane, MARGIN - 6);
    context.lineWidth = count > 2 ? 1 : 1.5;
    context.strokeStyle = colour("--ahead");
    trace(context, sequence, count, channel, Math.max(position - 1, from), Math.min(to, length), x, y);
    context.strokeStyle = colour("--ink");
    trace(context, sequence, count, channel, from, Math.min(position, length), x, y);
    const next = forecast(channel);
    if (next) fan(context, next, position, x, y, channel);
  });
  context.strokeStyle = colour("--accent");
  context.lineWidth = 1.5;
  if (position > 0) line(context, [[x(position), 0], [x(position), height]]);
}

/** Draw one channel from step `from` to `to`; where a pixel has many steps, from the lowest to the highest of them. */
function trace(context, sequence, count, channel, from, to, x, y) {
  const first = Math.max(0, Math.floor(from)), pixels = Math.max(1, x(to) - x(first));
  const bucket = Math.max(1, Math.floor((to - first) / pixels / 2));
  context.beginPath();
  let gap = true;
  for (let step = first; step < to; step += bucket) {
    let low = Infinity, high = -Infinity;
    for (let i = step; i < Math.min(step + bucket, to); i++) {
      const value = sequence[i * count + channel];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) gap = true;
    else {
      const right = x(step + 1);
      if (gap) context.moveTo(right, y(low));
      else context.lineTo(right, y(low));
      if (high > low) context.lineTo(right, y(high));
      gap = false;
    }
  }
  context.stroke();
}

/** Draw quantiles of the next values: the outer ones as an area, the middle one as a line. */
function fan(context, quantiles, position, x, y, channel) {
  const points = quantiles.map((values) => values.map((value, h) => [x(position + h + 1), y(value)]));
  context.fillStyle = context.strokeStyle = colour(hue(channel));
  if (points.length > 1) {
    context.globalAlpha = 0.22;
    context.beginPath();
    for (const [left, top] of [...points[0], ...points.at(-1).slice().reverse()]) context.lineTo(left, top);
    context.fill();
    context.globalAlpha = 1;
  }
  context.lineWidth = 2;
  line(context, points[points.length >> 1]);
}
