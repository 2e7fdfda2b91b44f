// @ts-check
// A LocalSend device that does what a test says: it announces itself, answers each prepare-upload with the next of a list of
// answers, and treats each upload as told. A program of its own, as it lives in another network namespace:
//
//   node device.mjs '{"protocol":"https","key":"...","cert":"...","to":"10.79.0.1"}'
//
// With "silent" it takes no part in multicast. It writes a line of JSON for whatever it hears, and takes lines of JSON: {"prepare":[...],"upload":[...]} add to the lists
// of what it answers, {"announce":{...}} says something to the group, {"call":"cancel?..."} asks the host at "to".

import { createHash, X509Certificate } from "node:crypto";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { createInterface } from "node:readline";

const options = JSON.parse(process.argv[2] ?? "{}");
const port = options.port ?? 53317;
const secure = options.protocol === "https";
const keys = secure ? { key: readFileSync(options.key), cert: readFileSync(options.cert) } : undefined;
const fingerprint =
    options.fingerprint ??
    (keys ? createHash("sha256").update(new X509Certificate(keys.cert).raw).digest("hex") : "plain-device");
const about = {
    alias: options.alias ?? "Played phone",
    version: "2.1",
    deviceModel: "Played",
    deviceType: options.type ?? "mobile",
    fingerprint,
    port,
    protocol: options.protocol,
    download: false,
};

/** Uploads that are not read on, until somebody cancels. @type {Set<http.IncomingMessage>} */
const stopped = new Set();
const readOn = () => stopped.forEach((request) => request.resume());

/** @type {any[]} */
const prepare = [];
/** @type {any[]} */
const upload = [];

/** @param {unknown} what */
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

/** @param {http.ServerResponse} response @param {number} status @param {unknown} [json] */
function answer(response, status, json) {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(json === undefined ? undefined : typeof json === "string" ? json : JSON.stringify(json));
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response @param {URL} url */
function onPrepare(request, response, url) {
    let text = "";
    request.on("data", (data) => (text += data));
    request.on("end", () => {
        const asked = JSON.parse(text);
        say({ prepare: asked, pin: url.searchParams.get("pin") });
        const how = prepare.shift() ?? {};
        if (how.hang) return response.on("close", () => say({ gone: true }));
        if (how.raw !== undefined) return answer(response, how.status ?? 200, how.raw);
        if (how.huge) return answer(response, 200, `{"sessionId":"${"x".repeat(how.huge)}"}`);
        if (how.cut) return request.socket.destroy();
        if (how.status !== undefined && how.status !== 200)
            return answer(response, how.status, { message: "no" });
        const wanted = Object.keys(asked.files).filter(
            (id) => !(how.without ?? []).includes(asked.files[id].fileName),
        );
        answer(response, 200, {
            sessionId: "session 1/+",
            files: Object.fromEntries(wanted.map((id) => [id, `token&${id}`])),
        });
    });
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response @param {URL} url */
function onUpload(request, response, url) {
    const how = upload.shift() ?? {};
    const hash = createHash("sha256");
    let size = 0;
    request.on("data", (data) => {
        hash.update(data);
        size += data.length;
        if (how.cut !== undefined && size >= how.cut) request.socket.destroy();
        if (how.stop !== undefined && size >= how.stop && !stopped.has(request)) {
            stopped.add(request);
            request.pause();
        }
    });
    if (how.stop !== undefined) say({ uploading: url.searchParams.get("fileId") });
    request.on("error", () => {});
    request.on("close", () => {
        if (!request.complete) say({ broken: url.searchParams.get("fileId"), size });
    });
    request.on("end", () => {
        const { sessionId, fileId, token } = Object.fromEntries(url.searchParams);
        const right = sessionId === "session 1/+" && token === `token&${fileId}`;
        say({
            upload: fileId,
            size,
            sha256: hash.digest("hex"),
            type: request.headers["content-type"],
            right,
        });
        answer(response, right ? (how.status ?? 200) : 403);
    });
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
function onRegister(request, response) {
    let text = "";
    request.on("data", (data) => (text += data));
    request.on("end", () => {
        say({ register: JSON.parse(text) });
        answer(response, 200, { ...about, port: undefined, protocol: undefined });
    });
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
function onRequest(request, response) {
    const url = new URL(request.url ?? "/", "http://device");
    const path = url.pathname.replace("/api/localsend/v2/", "");
    if (path === "info") answer(response, 200, { ...about, port: undefined, protocol: undefined });
    else if (path === "register") onRegister(request, response);
    else if (path === "prepare-upload") onPrepare(request, response, url);
    else if (path === "upload") onUpload(request, response, url);
    else if (path === "cancel") {
        readOn();
        say({ cancel: url.searchParams.get("sessionId") });
        answer(response, 200);
    } else answer(response, 404);
}

const server = keys ? https.createServer(keys, onRequest) : http.createServer(onRequest);
server.requestTimeout = 0;

const socket = createSocket({ type: "udp4", reuseAddr: true });
/** @param {object} [more] */
const announce = (more = {}) =>
    !options.silent &&
    socket.send(JSON.stringify({ ...about, announce: true, ...more }), 53317, "224.0.0.167");

/** @param {string} path @param {unknown} [body] */
function call(path, body) {
    const request = https.request(
        `https://${options.to}:53317/api/localsend/v2/${path}`,
        { method: "POST", rejectUnauthorized: false, headers: { "Content-Type": "application/json" } },
        (reply) => {
            say({ called: path, status: reply.statusCode });
            reply.resume();
            if (path.startsWith("cancel") && reply.statusCode === 200) readOn();
        },
    );
    request.on("error", (error) => say({ called: path, error: String(error) }));
    request.end(body === undefined ? undefined : JSON.stringify(body));
}

createInterface({ input: process.stdin }).on("line", (line) => {
    const told = JSON.parse(line);
    prepare.push(...(told.prepare ?? []));
    upload.push(...(told.upload ?? []));
    if (told.announce) announce(told.announce);
    if (told.register) call("register", { ...about, ...told.register });
    if (told.call) call(told.call);
    if (told.close) (server.close(() => say({ closed: true })), server.closeAllConnections());
    if (told.listen) listen();
});
const listen = () => server.listen(port, "0.0.0.0", () => say({ listening: true }));
if (options.silent) listen();
else
    socket.bind(53317, () => {
        socket.addMembership("224.0.0.167");
        listen();
    });
