// The challenge photo, taken on the page where there is a camera: it goes into the form's own field, and is sent as any.

const box = document.querySelector("[data-camera]");
const [video, canvas] = [box.querySelector("video"), box.querySelector("canvas")];
const [open, take, use, again] = ["open", "take", "use", "again"].map((name) => box.querySelector(`[data-${name}]`));
const form = document.getElementById("challenge");
const WIDEST = 1280;

if (navigator.mediaDevices?.getUserMedia) {
  box.hidden = false;
  form.querySelector("button").classList.remove("primary"); // the camera comes first
  open.addEventListener("click", start);
  again.addEventListener("click", start);
  take.addEventListener("click", shoot);
  use.addEventListener("click", send);
  addEventListener("pagehide", stop);
}

function show(...shown) {
  for (const element of [open, video, canvas, take, use, again]) element.hidden = !shown.includes(element);
}

async function start() {
  try {
    const wanted = { facingMode: "user", width: { ideal: WIDEST } };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    await video.play();
    show(video, take);
    take.focus();
  } catch {
    const said = document.createElement("p");
    said.className = "message note";
    said.setAttribute("role", "alert");
    said.textContent = box.dataset.noCamera;
    box.replaceChildren(said);
    form.querySelector("button").classList.add("primary");
    form.querySelector("input[type=file]").focus();
  }
}

function shoot() {
  const shrink = Math.min(1, WIDEST / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(video.videoWidth * shrink);
  canvas.height = Math.round(video.videoHeight * shrink);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height); // not mirrored: the code must be read
  stop();
  show(canvas, use, again);
  use.focus();
}

function send() {
  canvas.toBlob(
    (photo) => {
      const files = new DataTransfer();
      files.items.add(new File([photo], "camera.jpg", { type: "image/jpeg" }));
      form.querySelector("input[type=file]").files = files.files;
      form.requestSubmit();
    },
    "image/jpeg",
    0.92,
  );
}

function stop() {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
