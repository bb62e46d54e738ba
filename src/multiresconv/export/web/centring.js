/** Turns a drawing into an image like those of MNIST. */

const INNER = 20 / 28; // part of the image that MNIST's digits fill

/**
 * Return side * side levels: the drawing without its margin, its longer side scaled to 20/28 of the image, averaged over
 * the area of each pixel, and moved so that its centre of mass is in the middle. An empty drawing gives null.
 *
 * @param ink size * size levels from 0 to 255, row by row.
 */
export function centred(ink, size, side) {
  const box = bounds(ink, size);
  if (!box) return null;
  const scale = (INNER * side) / Math.max(box.right - box.left, box.bottom - box.top);
  const width = Math.max(1, Math.round((box.right - box.left) * scale));
  const height = Math.max(1, Math.round((box.bottom - box.top) * scale));
  const small = averaged(ink, size, box, width, height);
  let mass = 0, massX = 0, massY = 0;
  small.forEach((level, i) => {
    mass += level;
    massX += level * ((i % width) + 0.5);
    massY += level * (Math.floor(i / width) + 0.5);
  });
  const place = (middle, extent) => Math.min(Math.max(Math.round(side / 2 - middle), 0), side - extent);
  const left = place(massX / mass, width), top = place(massY / mass, height);
  const levels = new Uint8Array(side * side);
  small.forEach((level, i) => {
    levels[(top + Math.floor(i / width)) * side + left + (i % width)] = Math.round(level);
  });
  return levels;
}

function bounds(ink, size) {
  let left = size, top = size, right = 0, bottom = 0;
  ink.forEach((level, i) => {
    if (!level) return;
    const x = i % size, y = Math.floor(i / size);
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
  });
  return right ? { left, top, right, bottom } : null;
}

/** Return the mean of the ink over the area of each of width * height pixels of a box. */
function averaged(ink, size, { left, top, right, bottom }, width, height) {
  const stepX = (right - left) / width, stepY = (bottom - top) / height;
  return Array.from({ length: width * height }, (_, i) => {
    const x0 = left + (i % width) * stepX, y0 = top + Math.floor(i / width) * stepY;
    let sum = 0;
    for (let y = Math.floor(y0); y < y0 + stepY && y < size; y++) {
      const share = Math.min(y + 1, y0 + stepY) - Math.max(y, y0);
      for (let x = Math.floor(x0); x < x0 + stepX && x < size; x++) {
        sum += share * (Math.min(x + 1, x0 + stepX) - Math.max(x, x0)) * ink[y * size + x];
      }
    }
    return sum / (stepX * stepY);
  });
}
