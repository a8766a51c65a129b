// Copies what a button names: <button data-copy="ID of the text" data-copied="..." data-not-copied="..." hidden>.

import { say } from "./base.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      say(button.dataset.copied);
    } catch {
      say(button.dataset.notCopied);
    }
  });
}
