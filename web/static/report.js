// What every page of the report door does: leaving it at once, copying, printing, sending once; and photos that are
// looked at as soon as they are chosen. All of it works without, too.

import { say } from "./base.js";
import { smaller } from "./report_shrink.js";

for (const link of document.querySelectorAll("[data-leave]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.body.hidden = true; // gone before the other page is there
    location.replace(link.href); // and "back" does not lead here
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const texts = button.dataset.copy.split(" ").map((id) => document.getElementById(id).textContent);
    try {
      await navigator.clipboard.writeText(texts.join("\n"));
      say(button.dataset.copied);
    } catch {
      say(button.dataset.notCopied);
    }
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

for (const form of document.querySelectorAll("form[data-once]")) {
  const working = form.querySelector(".working");
  const sending = (now) => {
    form.querySelector("button").disabled = now;
    if (!working) return;
    working.hidden = !now;
    working.textContent = now ? form.dataset.looking : "";
  };
  form.addEventListener("submit", () => setTimeout(() => sending(true)));
  addEventListener("pageshow", () => sending(false)); // come back by "back"
}

for (const field of document.querySelectorAll("[data-shrink]")) {
  field.addEventListener("change", async () => {
    const [file] = field.files;
    const small = file && (await smaller(file));
    if (small === file || field.files[0] !== file) return;
    const files = new DataTransfer();
    files.items.add(small);
    field.files = files.files;
  });
}

// Photos: one after another, and the page's tray is taken anew after each.

function watchPhotos() {
  const form = document.querySelector("form[data-photos]");
  if (!form) return;
  const field = form.querySelector("input[type=file]");
  field.multiple = true;
  form.querySelector("[data-without-script]").hidden = true;
  field.addEventListener("change", () => sendPhotos(form, [...field.files]));
}

async function sendPhotos(form, files) {
  if (!files.length) return;
  const field = form.querySelector("input[type=file]");
  const working = form.querySelector(".working");
  field.disabled = true;
  working.hidden = false;
  let tray = null;
  for (const [number, file] of files.entries()) {
    working.textContent = files.length > 1 ? `${form.dataset.looking} ${number + 1}/${files.length}` : form.dataset.looking;
    const sent = new FormData();
    for (const hidden of form.querySelectorAll("input[type=hidden]")) sent.append(hidden.name, hidden.value);
    sent.append("photo", await smaller(file));
    const page = await pageAfter(form.action, sent);
    const found = page?.getElementById("tray");
    if (!found) {
      if (page) return document.querySelector("main").replaceWith(page.querySelector("main")); // another page: why not
      tray ??= document.getElementById("tray").cloneNode(true);
      say(form.dataset.lost, { seconds: 12 });
      break;
    }
    tray = found;
  }
  document.getElementById("tray").replaceWith(tray);
  watchPhotos();
  tray.querySelector("input[type=file], .ahead")?.focus();
}

/** The page that the server answers with, wherever it leads; null when the network is away. */
async function pageAfter(path, sent) {
  try {
    const answer = await fetch(path, { method: "POST", body: sent });
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null;
  }
}

watchPhotos();
