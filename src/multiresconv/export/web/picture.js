/** Reads pictures as levels, and shows levels as pictures. */

/** Return { levels, note }: side * side * channels levels of a picture, and a line on what was converted, or "". */
export async function readPicture(file, { side, channels }) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new RangeError(`${file.name ?? "picture"}: expected a picture that this browser can read, such as PNG`);
  }
  const { width, height } = bitmap, cut = Math.min(width, height);
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "black";
  context.fillRect(0, 0, side, side);
  context.imageSmoothingEnabled = cut !== side || width !== height;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (width - cut) / 2, (height - cut) / 2, cut, cut, 0, 0, side, side);
  bitmap.close();
  const fits = width === side && height === side;
  const note = fits ? "" : `The picture of ${width} x ${height} pixels was cut to a square and scaled to ${side} x ${side}.`;
  return { levels: levelsOf(context.getImageData(0, 0, side, side).data, channels.length), note };
}

/** Show levels on a canvas of their size; `shade(i)` returns the brightness of pixel i, from 0 to 1. */
export function show(canvas, levels, channels, shade = () => 1) {
  const pixels = levels.length / channels, side = Math.round(Math.sqrt(pixels));
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = levels[i * channels + (channels === 1 ? 0 : c)] * shade(i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function levelsOf(rgba, channels) {
  const levels = new Uint8Array((rgba.length / 4) * channels);
  for (let i = 0; i < rgba.length / 4; i++) {
    const [red, green, blue] = rgba.subarray(4 * i, 4 * i + 3);
    if (channels === 1) levels[i] = Math.round((299 * red + 587 * green + 114 * blue) / 1000);
    else levels.set([red, green, blue], 3 * i);
  }
  return levels;
}
