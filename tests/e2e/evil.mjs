// @ts-check
// A file server on a raw socket that speaks the first table of the peer protocol and nothing more, and that can lie.
//
//   const evil = await startEvil({ t, files: { "f.bin": bytes }, lie: lies.shortBody });
//   evil.lie = undefined; // honest from now on
//
// A lie is a function that answers one request for a file in its own way and returns true, or returns false to let the
// honest answer be given. lies.mjs has many.

import { createHash } from "node:crypto";
import net from "node:net";

/**
 * @typedef {object} Request
 * @property {string} method
 * @property {string} target as it was sent
 * @property {string} path decoded, without the first slash and the query
 * @property {Record<string, string>} headers lower-case names
 * @property {number} number how many requests for files there were before this one
 *
 * @typedef {object} Asked  a request for a file and what an honest answer to it holds
 * @property {Request} request
 * @property {net.Socket} socket
 * @property {Buffer} bytes the whole file
 * @property {string} etag the honest one
 * @property {boolean} ranged whether a part was asked for, and may be given
 * @property {number} first first byte of the part
 * @property {number} last last byte of the part
 * @property {Evil} evil
 *
 * @typedef {(asked: Asked) => boolean | Promise<boolean>} Lie
 *
 * @typedef {Awaited<ReturnType<typeof startEvil>>} Evil
 */

/** @type {Record<number, string>} */
const REASONS = { 200: "OK", 206: "Partial Content", 404: "Not Found", 416: "Range Not Satisfiable" };

/**
 * @param {net.Socket} socket
 * @param {number} status
 * @param {Array<[string, string | number]>} headers
 * @param {Buffer | string} [body]
 */
export function send(socket, status, headers, body = "") {
    if (socket.destroyed) return;
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.write(`HTTP/1.1 ${status} ${REASONS[status] ?? "Whatever"}\r\n${lines}\r\n`, "latin1");
    if (body.length) socket.write(body);
}

/** @param {Buffer} bytes */
const sha = (bytes) => createHash("sha256").update(bytes).digest();

/**
 * The BitTorrent v2 hash tree (BEP 52) of `bytes`: the root, and the layer of one digest a chunk.
 * @param {Buffer} bytes
 * @param {number} chunk a power of two, at least 16384
 */
export function hashTree(bytes, chunk) {
    /** @type {Buffer[]} */
    let layer = [];
    for (let at = 0; at < bytes.length; at += 16384) layer.push(sha(bytes.subarray(at, at + 16384)));
    let pad = Buffer.alloc(32);
    /** @type {Buffer[]} */
    let layerOfChunks = [];
    for (let width = 16384; ; width *= 2) {
        if (width === chunk) layerOfChunks = layer.slice();
        if (layer.length === 1 && width >= bytes.length) break;
        if (layer.length % 2) layer.push(pad);
        const next = [];
        for (let i = 0; i < layer.length; i += 2) next.push(sha(Buffer.concat([layer[i], layer[i + 1]])));
        layer = next;
        pad = sha(Buffer.concat([pad, pad]));
    }
    if (!layerOfChunks.length) layerOfChunks = layer;
    return { root: layer[0].toString("hex"), layer: Buffer.concat(layerOfChunks) };
}

/**
 * @param {object} options
 * @param {{ after(fn: () => unknown): unknown }} [options.t] close when this test ends
 * @param {Record<string, Buffer>} [options.files] by path
 * @param {Lie} [options.lie]
 * @param {(request: Request, socket: net.Socket) => boolean | Promise<boolean>} [options.before] sees every request first
 * @param {{ id: string, name: string }} [options.hostpair] pretend to be a hostpair: an id, hash trees, the long list
 * @param {string[]} [options.listLines] what the long list says, instead of the files there are
 */
export async function startEvil({ t, files = {}, lie, before, hostpair, listLines }) {
    /** @type {Request[]} */
    const requests = [];
    /** @type {Set<net.Socket>} */
    const sockets = new Set();
    let fileRequests = 0;
    const evil = {
        port: 0,
        url: "",
        files,
        /** @type {Lie | undefined} */
        lie,
        requests,
        /** Part of every ETag: changing it makes another version of every file. */
        version: 1,
        breakAll() {
            for (const socket of sockets) socket.destroy();
        },
        close,
    };

    /** @param {Request} request @param {net.Socket} socket */
    async function answer(request, socket) {
        if (before && (await before(request, socket))) return;
        const own = /** @type {Array<[string, string]>} */ (
            hostpair
                ? [
                      ["Hostpair-Id", hostpair.id],
                      ["Hostpair-Name", encodeURIComponent(hostpair.name)],
                  ]
                : []
        );
        const accept = request.headers.accept ?? "";
        if (request.path === "hostpair") {
            if (!hostpair || !accept.includes("application/json")) {
                send(socket, 200, [["Content-Length", 0], ...own]);
                return;
            }
            const bytes = Object.values(files).reduce((sum, file) => sum + file.length, 0);
            json(socket, own, {
                ...hostpair,
                version: "9.9.9",
                protocol: 1,
                time: new Date().toISOString(),
                files: Object.keys(files).length,
                bytes,
            });
            return;
        }
        if (request.path === "list") {
            if (hostpair && accept.includes("ndjson")) {
                const lines =
                    listLines ??
                    Object.entries(files).map(([path, bytes]) =>
                        JSON.stringify({
                            path,
                            size: bytes.length,
                            mtime: "2024-01-02T03:04:05.000Z",
                            type: "application/octet-stream",
                            root: bytes.length ? hashTree(bytes, 1 << 20).root : null,
                        }),
                    );
                reply(socket, 200, "application/x-ndjson", lines.map((line) => `${line}\n`).join(""));
                return;
            }
            const names = Object.keys(files).filter((name) => !name.includes("/"));
            reply(socket, 200, "text/plain; charset=utf-8", names.map((name) => `${name}\r\n`).join(""));
            return;
        }
        const wanted = /^manifest\/([0-9a-f]{64})$/.exec(request.path)?.[1];
        if (hostpair && wanted) {
            const chunk = Number(/[?&]chunk=(\d+)/.exec(request.target)?.[1]);
            for (const bytes of Object.values(files)) {
                const tree = hashTree(bytes, chunk);
                if (tree.root !== wanted) continue;
                reply(socket, 200, "application/octet-stream", tree.layer);
                return;
            }
        }
        const path = hostpair ? request.path.replace(/^files\//, "") : request.path;
        const bytes = Object.hasOwn(files, path) ? files[path] : undefined;
        if (!bytes || (request.method !== "GET" && request.method !== "HEAD")) {
            send(socket, 404, [["Content-Length", 0]]);
            return;
        }
        request.number = fileRequests++;
        const etag = `"v${evil.version}-${bytes.length}"`;
        const asked = part({
            request,
            socket,
            bytes,
            etag,
            ranged: false,
            first: 0,
            last: bytes.length - 1,
            evil,
        });
        if (evil.lie && (await evil.lie(asked))) return;
        honest(asked);
    }

    const server = net.createServer((socket) => {
        sockets.add(socket);
        socket.setNoDelay(true);
        socket.on("error", () => {});
        socket.on("close", () => sockets.delete(socket));
        serve(socket).catch((error) => {
            if (!socket.destroyed) throw error;
        });
    });

    /** @param {net.Socket} socket */
    async function serve(socket) {
        let rest = Buffer.alloc(0);
        for await (const data of socket) {
            rest = Buffer.concat([rest, data]);
            for (;;) {
                const end = rest.indexOf("\r\n\r\n");
                if (end < 0) break;
                const [line, ...lines] = rest.subarray(0, end).toString("latin1").split("\r\n");
                const [method, target] = line.split(" ");
                /** @type {Record<string, string>} */
                const headers = {};
                for (const one of lines) {
                    const at = one.indexOf(":");
                    headers[one.slice(0, at).toLowerCase()] = one.slice(at + 1).trim();
                }
                const body = Number(headers["content-length"] ?? 0);
                if (rest.length < end + 4 + body) break;
                rest = rest.subarray(end + 4 + body);
                const path = decodeURIComponent(target.replace(/^\//, "").replace(/\?.*/, ""));
                const request = { method, target, path, headers, number: -1 };
                requests.push(request);
                await answer(request, socket);
                if (socket.destroyed || socket.writableEnded) return;
            }
        }
    }

    await new Promise((done, fail) => {
        server.once("error", fail);
        server.listen(0, "127.0.0.1", () => done(undefined));
    });
    const address = server.address();
    if (address && typeof address === "object") evil.port = address.port;
    evil.url = `http://127.0.0.1:${evil.port}`;

    async function close() {
        evil.breakAll();
        if (server.listening) await new Promise((done) => server.close(done));
    }
    t?.after(close);
    return evil;
}

/** @param {net.Socket} socket @param {Array<[string, string]>} own @param {unknown} value */
function json(socket, own, value) {
    const body = JSON.stringify(value);
    send(
        socket,
        200,
        [["Content-Type", "application/json"], ["Content-Length", Buffer.byteLength(body)], ...own],
        body,
    );
}

/** @param {net.Socket} socket @param {number} status @param {string} type @param {Buffer | string} body */
function reply(socket, status, type, body) {
    const headers = /** @type {Array<[string, string | number]>} */ ([
        ["Content-Type", type],
        ["Content-Length", Buffer.byteLength(body)],
    ]);
    send(socket, status, headers, body);
}

/** Works out which part was asked for. @param {Asked} asked @returns {Asked} */
function part(asked) {
    const { headers } = asked.request;
    const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "");
    if (!range || asked.request.method !== "GET") return asked;
    if (headers["if-range"] !== undefined && headers["if-range"] !== asked.etag) return asked;
    const first = Number(range[1]);
    const last = range[2] ? Math.min(Number(range[2]), asked.bytes.length - 1) : asked.bytes.length - 1;
    return { ...asked, ranged: true, first, last };
}

/**
 * What an honest server says, with some headers changed.
 * @param {Asked} asked
 * @param {Record<string, string | number | undefined>} [changed] undefined leaves one out
 */
export function headers(asked, changed = {}) {
    /** @type {Record<string, string | number | undefined>} */
    const all = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        ETag: asked.etag,
        "Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT",
        "Content-Length": asked.last - asked.first + 1,
    };
    if (asked.ranged) all["Content-Range"] = `bytes ${asked.first}-${asked.last}/${asked.bytes.length}`;
    Object.assign(all, changed);
    return /** @type {Array<[string, string | number]>} */ (
        Object.entries(all).filter(([, value]) => value !== undefined)
    );
}

/** @param {Asked} asked @param {Record<string, string | number | undefined>} [changed] */
export function honest(asked, changed = {}) {
    const { socket, bytes, first, last, ranged, request } = asked;
    if (ranged && first >= bytes.length) {
        send(socket, 416, [
            ["Content-Range", `bytes */${bytes.length}`],
            ["Content-Length", 0],
        ]);
        return;
    }
    const body = request.method === "HEAD" ? "" : bytes.subarray(first, last + 1);
    send(socket, ranged ? 206 : 200, headers(asked, changed), body);
}

/** The bytes that were asked for. @param {Asked} asked */
export const body = (asked) => asked.bytes.subarray(asked.first, asked.last + 1);
