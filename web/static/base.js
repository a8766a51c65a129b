// What every page does: keys, the dialog that shows them, times in the reader's own zone; and what pages' scripts share.
//
// Keys are declared in HTML, on the control that they stand for; a page needs no script for them:
//   data-key="n"             the key, as KeyboardEvent.key says it, letters in lower case; several with blanks between
//   data-key-says="Skip"     what the dialog says; without it, the control's accessible name or text
//   data-key-own             only shown in the dialog: the page's own script acts on the key (holding it down, say)
// A key clicks a button, link, summary or checkbox, and focuses a field. It does nothing while one types, with Ctrl, Alt
// or Meta held, on what is hidden or disabled, or where the person has turned single keys off (body[data-keys=off]).
// While a <dialog> is open, only the keys inside of it are in force.
//
// For pages' scripts: import { post, say, keysOn, typing } from "./base.js";

const FIELDS = "input:not([type=checkbox], [type=radio], [type=submit], [type=button]), textarea, select";

export const keysOn = document.body.dataset.keys !== "off";

/** Whether the event comes from where letters are text. */
export function typing(event) {
  return Boolean(event.target.closest?.(`${FIELDS}, [contenteditable]`));
}

/** Posts fields as our forms do; the answer's JSON in {ok, status, body}. A network that is away: status 0. */
export async function post(path, fields = {}) {
  const headers = {
    "Accept": "application/json",
    "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content,
  };
  try {
    const answer = await fetch(path, { method: "POST", headers, body: new URLSearchParams(fields) });
    const json = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
    return { ok: answer.ok, status: answer.status, body: json ? await answer.json() : null };
  } catch {
    return { ok: false, status: 0, body: null };
  }
}

/** Shows a sentence at the page's foot, which screen readers speak; `more` are nodes beside it, such as a button. */
export function say(text, { seconds = 6, more = [] } = {}) {
  const toast = document.createElement("div");
  toast.className = "toast";
  const sentence = document.createElement("p");
  sentence.textContent = text;
  toast.append(sentence, ...more);
  document.getElementById("notices").replaceChildren(toast);
  if (seconds) setTimeout(() => toast.remove(), seconds * 1000);
  return toast;
}

function keyed() {
  const room = document.querySelector("dialog[open]") ?? document;
  return [...room.querySelectorAll("[data-key]")].filter(
    (element) => !element.disabled && element.checkVisibility({ visibilityProperty: true }),
  );
}

function act(element) {
  if (element.matches(FIELDS)) {
    element.focus();
    element.select?.();
  } else {
    element.click();
  }
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.defaultPrevented || typing(event)) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const element = keyed().find((one) => !("keyOwn" in one.dataset) && one.dataset.key.split(" ").includes(pressed));
  if (!element) return;
  event.preventDefault();
  act(element);
}

function named(element) {
  return element.dataset.keySays || element.getAttribute("aria-label") || element.textContent.trim().replace(/\s+/g, " ");
}

function showKeys() {
  const dialog = document.getElementById("keys");
  const rows = keyed().flatMap((element) => {
    const keys = document.createElement("dt");
    for (const name of element.dataset.key.split(" ")) {
      const cap = document.createElement("kbd");
      cap.textContent = name.length === 1 ? name.toUpperCase() : name;
      keys.append(cap);
    }
    const what = document.createElement("dd");
    what.textContent = named(element);
    return [keys, what];
  });
  dialog.querySelector("dl").replaceChildren(...rows);
  dialog.showModal();
}

function localMoments() {
  const zoned = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const time of document.querySelectorAll("time[data-moment]")) {
    time.title = time.textContent;
    time.textContent = zoned.format(new Date(time.dateTime));
  }
}

const help = document.querySelector("[data-help]");
help?.addEventListener("click", showKeys);
if (help && keysOn) {
  help.hidden = document.querySelectorAll("[data-key]").length === 1; // there are none but its own
  for (const element of document.querySelectorAll("[data-key]")) {
    element.setAttribute("aria-keyshortcuts", element.dataset.key);
  }
  document.addEventListener("keydown", onKey);
}
localMoments();
