// The interim page, used if the web app is not built: uploads photos and receives captions over the WebSocket.

const find = (id) => document.getElementById(id);
const cards = new Map(); // image id -> card
const early = new Map(); // image id -> events that arrived before the upload's response
let lastEvent = null;
let tries = 0;

// --- one photo ---------------------------------------------------------------------------------

function makeCard(source, name) {
  const item = find("photo").content.firstElementChild.cloneNode(true);
  const part = (name) => item.querySelector(`.${name}`);
  const card = {
    item,
    id: null,
    job: null,
    show({ caption = "", state = "", others = [], failed = false }) {
      part("caption").textContent = caption;
      part("state").textContent = state;
      part("others").replaceChildren(
        ...others.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
      );
      part("copy").hidden = !caption;
      part("retry").hidden = !(failed && card.job);
      part("remove").hidden = !card.id;
      item.classList.toggle("failed", failed);
      if (caption) item.querySelector("img").alt = caption;
    },
  };
  const image = item.querySelector("img");
  image.alt = name;
  if (source) image.src = source;
  part("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(part("caption").textContent);
    showStatus("Copied.");
  });
  part("retry").addEventListener("click", () =>
    attempt(async () => {
      await api("POST", `/jobs/${card.job}/retry`);
      card.show({ state: "Waiting …" });
    }),
  );
  part("remove").addEventListener("click", () =>
    attempt(async () => {
      await api("DELETE", `/images/${card.id}`);
      cards.delete(card.id);
      item.remove();
      find("empty").hidden = cards.size > 0;
      showStatus("Removed.");
    }),
  );
  find("empty").hidden = true;
  return card;
}

function adopt(card, id, job) {
  card.id = id;
  card.job = job;
  cards.set(id, card);
  for (const event of early.get(id) ?? []) apply(event);
  early.delete(id);
}

// --- upload ------------------------------------------------------------------------------------

async function api(method, path, body) {
  const answer = await fetch(`/api/v1${path}`, { method, body, headers: { Accept: "application/json" } });
  const data = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(reason(data) || `The server returned an error (${answer.status}).`);
  return data;
}

const reason = (problem) => [problem?.detail ?? problem?.message, problem?.hint].filter(Boolean).join(" ");

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    showStatus(error.message);
  }
}

async function upload(files) {
  await Promise.race([connected, new Promise((go) => setTimeout(go, 3000))]); // one session for the WebSocket and the upload
  for (const file of files) {
    const card = makeCard(URL.createObjectURL(file), file.name);
    find("photos").prepend(card.item);
    card.show({ state: "Uploading …" });
    const form = new FormData();
    form.append("files", file);
    try {
      const item = (await api("POST", "/images", form)).items[0];
      if (item.error) throw new Error(reason(item.error));
      const known = cards.get(item.id);
      if (known) known.item.remove();
      card.show({ state: "Waiting …" });
      adopt(card, item.id, item.job);
      if (item.status === "exists") await refresh(card);
    } catch (error) {
      card.show({ state: error.message, failed: true });
    }
  }
}

// --- events ------------------------------------------------------------------------------------

let isConnected;
const connected = new Promise((resolve) => (isConnected = resolve));

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws${lastEvent === null ? "" : `?after=${lastEvent}`}`);
  socket.addEventListener("message", ({ data }) => {
    const event = JSON.parse(data);
    if (event.id) lastEvent = event.id;
    if (event.type === "hello") {
      lastEvent ??= event.data.last_event;
      tries = 0;
      isConnected();
      showStatus("");
    } else if (event.type === "reset") {
      lastEvent = event.data?.last_event ?? lastEvent;
      load();
    } else if (event.type === "ping") {
      socket.send(JSON.stringify({ type: "pong" }));
    } else {
      apply(event);
    }
  });
  socket.addEventListener("close", () => {
    tries += 1;
    if (tries > 2) showStatus("Connection lost. Reconnecting …");
    setTimeout(connect, Math.min(30_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2));
  });
}

const STATES = { queued: "Waiting …", running: "Writing a caption …", cancelled: "Cancelled." };

function apply(event) {
  const id = event.data?.image ?? event.data?.id;
  const card = cards.get(id);
  if (!card) {
    if (id) early.set(id, [...(early.get(id) ?? []), event]);
    return;
  }
  if (event.type === "caption.ready") {
    showCaptions(card, event.data.caption, event.data.captions);
    showStatus(`Caption: ${event.data.caption}`);
  } else if (event.type === "job.changed") {
    card.job = event.data.job;
    if (event.data.state === "failed") card.show({ state: reason(event.data.error), failed: true });
    else if (event.data.state !== "done" && !card.item.querySelector(".caption").textContent)
      card.show({ state: STATES[event.data.state] ?? "" });
  } else if (event.type === "image.deleted") {
    card.item.remove();
    cards.delete(id);
  }
}

function showCaptions(card, caption, captions = []) {
  card.show({ caption, others: captions.map(({ text }) => text).filter((text) => text !== caption) });
}

// --- existing photos ---------------------------------------------------------------------------

async function refresh(card) {
  const image = await api("GET", `/images/${card.id}`);
  showImage(card, image);
}

function showImage(card, image) {
  card.job = image.job?.id ?? card.job;
  if (image.caption) card.show({ caption: image.caption });
  else if (image.job?.state === "failed") card.show({ state: reason(image.job.error), failed: true });
  else card.show({ state: STATES[image.job?.state] ?? "" });
}

async function load() {
  await attempt(async () => {
    const page = await api("GET", "/images?limit=30");
    for (const image of page.items) {
      let card = cards.get(image.id);
      if (!card) {
        const source = image.urls?.thumbnail;
        card = makeCard((typeof source === "string" ? source : Object.values(source ?? {})[0]) ?? image.placeholder, "");
        find("photos").append(card.item);
        adopt(card, image.id, null);
      }
      showImage(card, image);
    }
  });
}

function showStatus(text) {
  find("status").textContent = text;
}

// --- the drop zone -----------------------------------------------------------------------------

const drop = find("drop");
const isPhoto = (file) => file.type.startsWith("image/") || /\.(heic|heif|avif)$/i.test(file.name);

find("files").addEventListener("change", (event) => {
  upload([...event.target.files]);
  event.target.value = "";
});
for (const [name, over] of Object.entries({ dragenter: true, dragover: true, dragleave: false, drop: false }))
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", over);
    if (name === "drop") upload([...event.dataTransfer.files].filter(isPhoto));
  });
document.addEventListener("paste", (event) => upload([...(event.clipboardData?.files ?? [])].filter(isPhoto)));

connect();
connected.then(load);
