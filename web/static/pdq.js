// PDQ of a photo, made here in the browser: 256 bits by which the very same picture is known again. The photo itself does
// not leave the page. Tested equal to detector/fingerprint.py, which tells what PDQ is; its steps stand here by the same
// names.
//
// For pages' scripts: import { pdqOfFile } from "./pdq.js";

const LONGEST_SIDE = 512;
const SIDE = 64;
const FREQUENCIES = 16;
const PIXELS_AT_ONCE = 1 << 21; // phones have little memory for canvases

const COSINES = Array.from({ length: FREQUENCIES }, (_, row) =>
  Array.from({ length: SIDE }, (_, place) =>
    Math.fround(Math.sqrt(2 / SIDE) * Math.cos((Math.PI / (2 * SIDE)) * (row + 1) * (2 * place + 1))),
  ),
);

/**
 * The photo's hash in 64 hexadecimal digits, its quality from 0 (flat) to 100, and its upright size in pixels.
 * Rejects a file that this browser cannot show as a picture, and where the browser alters the pixels that pages read.
 */
export async function pdqOfFile(file) {
  // Upright as EXIF says, by default; colour profiles are not applied, as on the server.
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  try {
    const { width, height } = bitmap;
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    demandTruth(context);
    canvas.width = width;
    return pdqOfRows(width, height, (top, rows) => {
      canvas.height = rows; // which wipes it
      context.fillStyle = "white"; // shows where the photo is transparent
      context.fillRect(0, 0, width, rows);
      context.drawImage(bitmap, 0, -top);
      return context.getImageData(0, 0, width, rows).data;
    });
  } finally {
    bitmap.close();
  }
}

/** The same of pixels, four bytes each: red, green, blue, and one that does not count. */
export function pdqOfPixels(rgba, width, height) {
  return pdqOfRows(width, height, (top, rows) => rgba.subarray(4 * width * top, 4 * width * (top + rows)));
}

/** `read(top, rows)` gives the bytes of so many whole rows. */
function pdqOfRows(width, height, read) {
  const { luma, columns, rows } = lumaOf(width, height, read);
  const small = smallOf(luma, columns, rows);
  return { pdq: hexOf(coefficientsOf(small)), quality: qualityOf(small), width, height };
}

/** Throws where the browser hides pixels from pages, as some do against tracking: the hash would protect nobody. */
export function demandTruth(context) {
  const drawn = [0, 60, 120, 180, 240];
  drawn.forEach((grey, place) => {
    context.fillStyle = `rgb(${grey}, ${grey}, ${grey})`;
    context.fillRect(place, 0, 1, 1);
  });
  const read = context.getImageData(0, 0, drawn.length, 1).data;
  if (drawn.some((grey, place) => Math.abs(read[4 * place] - grey) > 2)) {
    throw new Error("This browser hides the pixels of pictures from pages.");
  }
}

/** Luma, 0..255, no side above LONGEST_SIDE: larger pictures by the average of whole blocks, rounded as OpenCV does. */
function lumaOf(width, height, read) {
  const factor = Math.ceil(Math.max(width, height) / LONGEST_SIDE);
  if (factor === 1) {
    const rgba = read(0, height);
    const luma = new Float64Array(width * height);
    for (let at = 0; at < luma.length; at++) {
      luma[at] = 0.299 * rgba[4 * at] + 0.587 * rgba[4 * at + 1] + 0.114 * rgba[4 * at + 2];
    }
    return { luma, columns: width, rows: height };
  }
  const columns = Math.max(1, Math.floor(width / factor));
  const rows = Math.max(1, Math.floor(height / factor));
  const left = Math.floor((width % factor) / 2);
  const top = Math.floor((height % factor) / 2);
  const [across, down] = [Math.min(factor, width - left), Math.min(factor, height - top)]; // of a block
  const luma = new Float64Array(columns * rows);
  const together = Math.max(1, Math.floor(PIXELS_AT_ONCE / (width * down)));
  for (let first = 0; first < rows; first += together) {
    const count = Math.min(together, rows - first);
    const rgba = read(top + first * down, count * down);
    for (let y = 0; y < count * down; y++) {
      const row = (first + Math.floor(y / down)) * columns;
      for (let x = 0, at = 4 * (y * width + left); x < columns * across; x++, at += 4) {
        const grey = (9798 * rgba[at] + 19235 * rgba[at + 1] + 3735 * rgba[at + 2] + 16384) >> 15;
        luma[row + Math.floor(x / across)] += grey;
      }
    }
  }
  const rounded = across === 2 && down === 2 ? Math.round : roundedToEven;
  return { luma: luma.map((sum) => rounded(sum / (across * down))), columns, rows };
}

function roundedToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** SIDE x SIDE, row by row. */
function smallOf(luma, columns, rows) {
  const [across, down] = [shrinking(columns), shrinking(rows)];
  const small = new Float64Array(SIDE * SIDE);
  for (let y = 0; y < SIDE; y++) {
    const line = new Float64Array(columns);
    down[y].forEach((weight, row) => {
      for (let x = 0; x < columns; x++) line[x] += weight * luma[row * columns + x];
    });
    for (let x = 0; x < SIDE; x++) across[x].forEach((weight, column) => (small[y * SIDE + x] += weight * line[column]));
  }
  return small;
}

/** For each of SIDE places along an axis, the weights by place in the picture: two box filters, cut off at the edges. */
function shrinking(length) {
  const size = Math.ceil(length / (2 * SIDE));
  const box = (place) => {
    const end = place + Math.floor(size / 2);
    const [from, to] = [Math.max(0, end - size + 1), Math.min(length - 1, end)];
    return Array.from({ length: to - from + 1 }, (_, step) => [from + step, Math.fround(1 / (to - from + 1))]);
  };
  return Array.from({ length: SIDE }, (_, seen) => {
    const weights = new Map();
    for (const [between, outer] of box(Math.floor(((seen + 0.5) * length) / SIDE))) {
      for (const [place, inner] of box(between)) weights.set(place, (weights.get(place) ?? 0) + outer * inner);
    }
    return weights;
  });
}

/** FREQUENCIES x FREQUENCIES of the cosine transform, row by row. */
function coefficientsOf(small) {
  const total = (length, term) => Array.from({ length }, (_, place) => term(place)).reduce((sum, one) => sum + one, 0);
  const halfway = COSINES.map((cosines) =>
    Array.from({ length: SIDE }, (_, x) => total(SIDE, (y) => cosines[y] * small[y * SIDE + x])),
  );
  return halfway.flatMap((row) => COSINES.map((cosines) => total(SIDE, (x) => row[x] * cosines[x])));
}

/** One bit for each coefficient above their median, the last one first. */
function hexOf(coefficients) {
  const median = Float64Array.from(coefficients).sort()[coefficients.length / 2 - 1];
  const bits = coefficients.map((one) => (one > median ? "1" : "0")).reverse().join("");
  return bits.replace(/.{4}/g, (four) => parseInt(four, 2).toString(16));
}

/** Steps between neighbours in whole hundredths of the full range. */
function qualityOf(small) {
  const step = (from, to) => Math.abs(Math.trunc((small[to] - small[from]) * (100 / 255)));
  let steps = 0;
  for (let at = 0; at < small.length; at++) {
    if (at % SIDE) steps += step(at - 1, at);
    if (at >= SIDE) steps += step(at - SIDE, at);
  }
  return Math.min(100, Math.floor(steps / 90));
}
