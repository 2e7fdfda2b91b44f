(() => {
  "use strict";
  const language = document.documentElement.lang;
  const own = navigator.language || language;
  const locale = own.slice(0, 2) === language.slice(0, 2) ? own : language;
  for (const time of document.querySelectorAll("time")) {
    const date = new Date(time.dateTime);
    if (isNaN(date)) continue;
    time.title = time.textContent;
    time.textContent = date.toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
  }

  const form = document.getElementById("send");
  if (!form || !window.XMLHttpRequest || !window.fetch || !window.FormData || !window.Blob || !Blob.prototype.slice) return;
  const words = form.dataset;
  const problems = words.problems ? JSON.parse(words.problems) : null;
  const input = form.querySelector("input[type=file]");
  const list = document.getElementById("send-files");
  const status = document.getElementById("send-status");
  const button = form.querySelector("button");
  const PIECE = 16 * 1024 * 1024;
  const PREVIEW = { text: 500, picture: 8192, side: 128, files: 20, ms: 2000 };
  let files = [];
  let busy = false;

  const units = ["kB", "MB", "GB", "TB"];
  const size = (n) => {
    if (n < 1000) return n + " B";
    let u = -1;
    do {
      n /= 1000;
      u++;
    } while (n >= 999.5 && u < 3);
    return (n < 9.95 ? n.toFixed(1) : Math.round(n)) + " " + units[u];
  };
  const say = (text, kind) => {
    status.textContent = text;
    status.className = kind || "";
  };
  // What the host says is wrong, in the language of the page.
  const tell = ({ status, json }) => {
    if (!problems) return json.detail || String(status);
    const name = json.code === "bad-name" && /"([^"]+)"/.exec(json.detail);
    return (problems[json.code] || problems.other) + (name ? ` ${name[1]}` : "");
  };
  const why = (reason) => (problems ? "" : reason) || words.ended;
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  const show = () => {
    list.textContent = "";
    for (const one of files) {
      const item = document.createElement("li");
      const name = document.createElement("span");
      const facts = document.createElement("span");
      name.className = "name";
      name.textContent = one.name;
      facts.className = "facts";
      one.bar = document.createElement("progress");
      one.bar.max = Math.max(1, one.file.size);
      one.bar.value = 0;
      one.bar.hidden = true;
      facts.textContent = size(one.file.size);
      item.append(name, facts, one.bar);
      list.append(item);
    }
    list.hidden = files.length === 0;
  };
  const take = (chosen) => {
    if (busy) return;
    for (const file of chosen)
      files.push({ id: String(files.length), file, name: file.webkitRelativePath || file.name });
    show();
    say("");
  };

  const call = (method, path, body, fields, onProgress) =>
    new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      request.open(method, path);
      for (const name in fields || {}) request.setRequestHeader(name, fields[name]);
      request.onload = () => {
        let json = {};
        try {
          json = JSON.parse(request.responseText);
        } catch (error) {}
        done({ status: request.status, json });
      };
      request.onerror = request.onabort = () => fail(new Error("lost"));
      if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded);
      request.send(body === undefined ? null : body);
    });

  const pictureOf = async (file) => {
    const image = await createImageBitmap(file);
    const scale = Math.min(1, PREVIEW.side / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    image.close();
    return [0.7, 0.4, 0.1]
      .map((quality) => canvas.toDataURL("image/jpeg", quality))
      .find((url) => url.length <= PREVIEW.picture);
  };

  // What the person who is asked sees of the files: of the first ones, and of those that can be read at once.
  const addPreviews = async (offered) => {
    const end = Date.now() + PREVIEW.ms;
    for (let i = 0; i < Math.min(offered.length, PREVIEW.files) && Date.now() < end; i++) {
      const { file } = files[i];
      try {
        if (/^text\//.test(file.type))
          offered[i].preview = (await file.slice(0, PREVIEW.text).text()).replace(/[\0\uFFFD]/g, "");
        else if (/^image\//.test(file.type)) offered[i].preview = await pictureOf(file);
      } catch (error) {}
    }
  };

  const sendFile = async (token, one) => {
    let at = one.received || 0;
    let failures = 0;
    one.bar.hidden = false;
    while (!one.done) {
      const end = Math.min(one.file.size, at + PIECE);
      const fields = { "Content-Type": "application/octet-stream" };
      if (one.file.size > 0) fields["Content-Range"] = `bytes ${at}-${end - 1}/${one.file.size}`;
      let reply;
      try {
        const path = `/hostpair/inbox/${token}/${one.id}`;
        reply = await call("PUT", path, one.file.slice(at, end), fields, (n) => (one.bar.value = at + n));
      } catch (error) {
        reply = { status: 0, json: {} };
      }
      if (reply.status === 200) {
        failures = 0;
        at = reply.json.received;
        one.done = reply.json.done;
        one.bar.value = one.done ? one.bar.max : at;
        continue;
      }
      const again = reply.status === 0 || reply.status === 503 || reply.status === 507;
      if (!again && ++failures > 3) throw new Error(tell(reply));
      if (again) say(reply.json.detail ? tell(reply) : words.again);
      await pause(again ? 2000 : 300);
      const now = await call("GET", `/hostpair/inbox/${token}`).catch(() => null);
      if (!now) continue;
      if (now.status !== 200 || now.json.state !== "receiving") throw new Error(why(now.json.reason));
      const known = now.json.files.find((other) => other.id === one.id);
      at = known ? known.received : 0;
      one.done = Boolean(known && known.done);
      say(words.sending);
    }
    one.bar.value = one.bar.max;
  };

  const decided = async (token) => {
    for (;;) {
      const reply = await call("GET", `/hostpair/inbox/${token}`, undefined, { Prefer: "wait=20" }).catch(
        () => null,
      );
      if (!reply) await pause(1000);
      else if (reply.status !== 200 || reply.json.state !== "asking") return reply.json;
    }
  };

  const send = async () => {
    const fields = { name: form.elements.name.value, files: [] };
    if (form.elements.pin) fields.pin = form.elements.pin.value;
    fields.files = files.map((one) => ({
      id: one.id,
      name: one.name,
      size: one.file.size,
      type: one.file.type || undefined,
      modified: new Date(one.file.lastModified).toISOString(),
    }));
    say(words.asking);
    await addPreviews(fields.files);
    const reply = await call("POST", "/hostpair/inbox", JSON.stringify(fields), {
      "Content-Type": "application/json",
    });
    if (reply.status !== 202) throw new Error(tell(reply));
    const token = reply.json.id;
    // Nobody but this page knows the token: without it the transfer cannot go on.
    const leave = () => void fetch(`/hostpair/inbox/${token}`, { method: "DELETE", keepalive: true });
    addEventListener("pagehide", leave);
    try {
      const answer = await decided(token);
      if (answer.state === "declined") throw new Error(answer.reason ? words.nobody : words.declined);
      if (answer.state !== "receiving" && answer.state !== "done") throw new Error(why(answer.reason));
      say(words.sending);
      for (const one of files) {
        const state = answer.files.find((other) => other.id === one.id);
        if (state && state.wanted && !state.done) await sendFile(token, one);
      }
    } finally {
      removeEventListener("pagehide", leave);
    }
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    if (files.length === 0) {
      say(words.none, "bad");
      return;
    }
    busy = true;
    button.disabled = true;
    try {
      localStorage.setItem("hostpair.name", form.elements.name.value);
    } catch (error) {}
    try {
      await send();
      say(words.sent, "good");
      files = [];
      input.value = "";
    } catch (error) {
      say(error.message === "lost" ? words.again : error.message, "bad");
      for (const one of files) one.done = false;
    }
    busy = false;
    button.disabled = false;
  });
  input.removeAttribute("required");
  input.addEventListener("change", () => {
    take(input.files);
    input.value = "";
  });
  try {
    form.elements.name.value = localStorage.getItem("hostpair.name") || "";
  } catch (error) {}
  for (const kind of ["dragover", "drop"])
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer || ![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      if (kind === "drop") {
        take(event.dataTransfer.files);
        form.closest("details").open = true;
      }
    });
  addEventListener("beforeunload", (event) => {
    if (busy) event.preventDefault();
  });
})();
