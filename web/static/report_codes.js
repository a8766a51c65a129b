// Photos that stay on this device: a code of each is made here, and only the codes go into the form.

import { pdqOfFile } from "./pdq.js";

const zone = document.querySelector("[data-codes]");
const list = document.querySelector("[data-made]");
const field = zone.querySelector("input[type=file]");
const codes = document.querySelector("input[name=codes]");
const button = codes.form.querySelector("button");
const texts = zone.dataset;
const made = new Map(); // of each card its code

zone.hidden = false;
field.addEventListener("change", async () => {
  const files = [...field.files];
  field.value = "";
  for (const file of files) {
    if (made.size >= Number(texts.most)) break;
    await add(file);
  }
});

async function add(file) {
  const card = document.createElement("li");
  const name = document.createElement("p");
  const badge = document.createElement("span");
  card.className = "card";
  name.className = "name";
  name.textContent = file.name;
  badge.className = "badge";
  badge.textContent = texts.working;
  card.append(name, badge);
  list.append(card);
  try {
    const code = await pdqOfFile(file);
    const good = code.quality >= Number(texts.least);
    badge.textContent = good ? texts.good : texts.flat;
    badge.className = good ? "badge good" : "badge bad";
    if (good) made.set(card, code);
  } catch {
    badge.textContent = texts.unread;
    badge.className = "badge bad";
  }
  const remove = document.createElement("button");
  remove.type = "button";
  remove.className = "link";
  remove.textContent = texts.remove;
  remove.setAttribute("aria-label", `${texts.remove} ${file.name}`);
  remove.addEventListener("click", () => {
    made.delete(card);
    card.remove();
    show();
    field.focus();
  });
  card.append(remove);
  show();
}

function show() {
  const chosen = [...made.values()].map(({ pdq, quality, width, height }) => ({ pdq, quality, width, height }));
  codes.value = JSON.stringify(chosen);
  button.disabled = chosen.length === 0;
  field.disabled = chosen.length >= Number(texts.most);
}
