// The page of a case: judging by key, pictures that are clear while held, the claim kept while somebody is there.
// Without it every step is a form or a link; the server opens the panels.

import { keysOn, post, say, typing } from "./base.js";

const page = document.getElementById("case");
const judge = document.querySelector("[data-judge]");

// Judging: the decision's panel opens at once, and only then is fetched how alike the faces are, which the
// server tells for a judgement: it notes the first one.

let first = null;

function openPanel(name) {
  judge.querySelector("[data-choices]").hidden = true;
  for (const panel of judge.querySelectorAll("[data-panel]")) panel.hidden = panel.dataset.panel !== name;
  const panel = judge.querySelector(`[data-panel="${name}"]`);
  panel.querySelector("input:not([type=hidden]), textarea").focus();
  if (name !== "skip") showLikeness(name, panel);
}

function closePanel() {
  for (const panel of judge.querySelectorAll("[data-panel]")) panel.hidden = true;
  const choices = judge.querySelector("[data-choices]");
  choices.hidden = false;
  choices.querySelector("button").focus();
}

async function showLikeness(name, panel) {
  const room = panel.querySelector("[data-likeness]");
  if (!room || document.querySelector(".side > .card .likeness") || room.childElementCount) return;
  first ??= name;
  const asked = new URL(judge.dataset.judge, location.href);
  asked.searchParams.set("judgement", first);
  const headers = { "Accept": "application/json" }; // of what goes wrong; else a login that ended would answer with its page
  const answer = await fetch(asked, { headers });
  if (answer.ok) room.innerHTML = await answer.text();
  if (answer.status === 401) location.reload();
}

// Of a campaign: the cases to leave out are marked beside the panels, and go with the one that is sent.
function takeAlong(panel) {
  for (const field of panel.querySelectorAll("input[name=leave]")) field.remove();
  for (const { value } of document.querySelectorAll("[data-leave]:checked")) {
    panel.append(Object.assign(document.createElement("input"), { type: "hidden", name: "leave", value }));
  }
}

judge?.addEventListener("submit", (event) => {
  if (event.target.matches("[data-choices]")) {
    event.preventDefault();
    openPanel(event.submitter.value);
  } else if (event.target.matches("[data-panel]")) {
    if (event.target.dataset.sent) event.preventDefault(); // Enter twice is one decision
    event.target.dataset.sent = "yes";
    takeAlong(event.target);
  }
});
for (const form of document.querySelectorAll("[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
judge?.addEventListener("click", (event) => {
  if (!event.target.closest("[data-back]")) return;
  event.preventDefault();
  closePanel();
});
judge?.addEventListener("change", (event) => {
  if (event.target.matches("input[type=radio]")) event.target.focus(); // so that Enter confirms
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // what the browser kept may be another's case by now
});

// Pictures: blurred or grey until somebody wants to see them; the first time is told to the audit log.

const main = document.querySelector("main");
const reveal = document.querySelector("[data-reveal]");
const HOLD_MILLISECONDS = 300;
let told = main.classList.contains("clear");

function setClear(kind, on) {
  main.classList.toggle(kind, on);
  if (kind === "clear") reveal.querySelector("button").setAttribute("aria-pressed", String(on));
  if (!on || told) return;
  told = true;
  post(reveal.action);
}

if (reveal) {
  const isClear = () => main.classList.contains("clear");
  reveal.addEventListener("submit", (event) => {
    event.preventDefault();
    setClear("clear", !isClear());
  });
  document.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.target.closest(".picture")) setClear("held", true);
  });
  for (const end of ["pointerup", "pointercancel", "blur"]) {
    addEventListener(end, () => setClear("held", false));
  }
  let pressedAt = 0;
  let wasClear = false;
  const isKey = (event) => keysOn && event.key.toLowerCase() === "b" && !typing(event) && !event.ctrlKey && !event.metaKey && !event.altKey;
  document.addEventListener("keydown", (event) => {
    if (!isKey(event) || event.repeat || document.querySelector("dialog[open]")) return;
    pressedAt = event.timeStamp;
    wasClear = isClear();
    setClear("clear", true);
  });
  document.addEventListener("keyup", (event) => {
    if (!pressedAt || event.key.toLowerCase() !== "b") return;
    const held = event.timeStamp - pressedAt > HOLD_MILLISECONDS;
    pressedAt = 0;
    if (held || wasClear) setClear("clear", false);
  });
}

for (const details of document.querySelectorAll(".compare details")) {
  details.addEventListener("toggle", () => details.open && details.scrollIntoView({ block: "nearest" }));
}
document.querySelector("[data-marks]")?.addEventListener("change", (event) => {
  event.target.closest(".whole").classList.toggle("unmarked", !event.target.checked);
});

// The claim: renewed while the page is seen and somebody has moved within the lease.

if (page?.dataset.lease) {
  const lease = Number(page.dataset.lease) * 1000;
  let moved = Date.now();
  for (const sign of ["keydown", "pointermove", "pointerdown", "scroll"]) {
    addEventListener(sign, () => (moved = Date.now()), { passive: true });
  }
  let leaving = false;
  document.addEventListener("submit", (event) => (leaving ||= !event.defaultPrevented));
  const renew = async () => {
    if (leaving || document.hidden || Date.now() - moved > lease) return;
    const answer = await post(page.dataset.renew);
    if (leaving) return; // the case is not ours any more because of what was just sent
    if (answer.status === 409) location.replace(page.dataset.lost);
    if (answer.status === 401) location.reload();
  };
  setInterval(renew, lease / 3);
  document.addEventListener("visibilitychange", renew);
}

// What was decided just now: a toast with the way back, for as long as there is one.

const undo = document.querySelector(".undo");
if (undo) {
  const sentence = undo.querySelector("p");
  const seconds = Number(undo.dataset.seconds);
  undo.className = "";
  undo.removeAttribute("role");
  sentence.remove();
  say(sentence.textContent, { seconds, more: [undo] });
}
for (const form of document.querySelectorAll("[data-until]")) {
  setTimeout(() => (form.hidden = true), Number(form.dataset.until) * 1000);
}
