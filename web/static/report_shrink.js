// A large photo is made smaller before it is sent: on a slow line seconds in place of minutes, within the server's limits,
// and where it was taken stays with the person.
//
// For pages' scripts: import { smaller } from "./report_shrink.js";

import { demandTruth } from "./pdq.js";

const LARGE = 1_000_000; // bytes
const LONGEST = 2048; // pixels; the server looks at no more (pictures.working_side)

/** The photo as a JPEG of at most LONGEST pixels, upright; the file itself where that is not smaller, or cannot be made. */
export async function smaller(file) {
  if (file.size <= LARGE) return file;
  try {
    const bitmap = await createImageBitmap(file);
    const shrink = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    demandTruth(context);
    canvas.width = Math.max(1, Math.round(bitmap.width * shrink));
    canvas.height = Math.max(1, Math.round(bitmap.height * shrink));
    context.fillStyle = "white"; // shows where the photo is transparent
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const jpeg = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    return jpeg && jpeg.size < file.size ? new File([jpeg], file.name, { type: jpeg.type }) : file;
  } catch {
    return file; // HEIC, say, which few browsers can open; or one that hides pixels from pages
  }
}
