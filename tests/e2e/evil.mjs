// @ts-check
// A file server on a raw socket that speaks the first table of the peer protocol and nothing more, and that can lie.
//
//   const evil = await startEvil({ t, files: { "f.bin": bytes }, lie: lies.shortBody });
//   evil.lie = undefined; // honest from now on
//
// A lie is a function that answers one request for a file in its own way and returns true, or returns false to let the
// honest answer be given. Each lie of `lies` says in one sentence what it does.

import { createHash } from "node:crypto";
import net from "node:net";
import { gzipSync } from "node:zlib";

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

/** @param {number} ms */
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

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
function headers(asked, changed = {}) {
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
const body = (asked) => asked.bytes.subarray(asked.first, asked.last + 1);

/** @param {Asked} asked */
const isGet = (asked) => asked.request.method === "GET";

/** A lie about GET only; HEAD is answered honestly. @param {(asked: Asked) => void | Promise<void>} fn @returns {Lie} */
const onGet = (fn) => async (asked) => {
    if (!isGet(asked)) return false;
    await fn(asked);
    return true;
};

/** A lie about ranged requests only. @param {(asked: Asked) => void | Promise<void>} fn @returns {Lie} */
const onRange = (fn) => async (asked) => {
    if (!asked.ranged) return false;
    await fn(asked);
    return true;
};

/** @param {number} status @param {Array<[string, string | number]>} [more] @returns {Lie} */
const always = (status, more = []) =>
    onGet(({ socket }) => send(socket, status, [["Content-Length", 0], ...more]));

/**
 * Writes until the other side goes away or the time is over.
 * @param {net.Socket} socket
 * @param {string} text
 */
async function flood(socket, text) {
    const block = text.repeat(Math.ceil(65536 / text.length));
    for (const end = Date.now() + 30_000; !socket.destroyed && Date.now() < end;) {
        if (!socket.write(block))
            await new Promise((done) => {
                socket.once("drain", done);
                socket.once("close", done);
            });
    }
    socket.destroy();
}

/** @param {number} fromRequest @param {Lie} lie the truth until then @returns {Lie} */
export const later = (fromRequest, lie) => (asked) => asked.request.number >= fromRequest && lie(asked);

/** @type {Record<string, Lie>} */
export const lies = {
    /** The whole file for a part. */
    ignoresRange: onRange((a) => honest({ ...a, ranged: false, first: 0, last: a.bytes.length - 1 })),
    /** Another part than the one asked for, and says so. */
    wrongStart: onRange((a) => {
        const first = a.first >= 1000 ? a.first - 1000 : a.first + 1000;
        honest({ ...a, first, last: Math.min(first + a.last - a.first, a.bytes.length - 1) });
    }),
    /** The right place said, the bytes from another one, with a good length: not to be seen without a hash tree. */
    wrongBytes: onGet((a) => {
        const bytes = Buffer.from(body(a));
        bytes[bytes.length >> 1] ^= 0x55;
        send(a.socket, a.ranged ? 206 : 200, headers(a), bytes);
    }),
    /** A longer part than asked for, said and sent. */
    wrongEnd: onRange((a) => {
        const last = a.last + 1000 < a.bytes.length ? a.last + 1000 : a.last - 1000;
        honest({ ...a, last });
    }),
    /** A total that is one too large. */
    wrongTotal: onRange((a) =>
        honest(a, { "Content-Range": `bytes ${a.first}-${a.last}/${a.bytes.length + 1}` }),
    ),
    /** A total beyond what 63 bits hold. */
    hugeTotal: onRange((a) =>
        honest(a, { "Content-Range": `bytes ${a.first}-${a.last}/99999999999999999999999999` }),
    ),
    /** Content-Range of nonsense. */
    garbledRange: onRange((a) => honest(a, { "Content-Range": "bytes -5--1/banana" })),
    /** 206 without Content-Range. */
    noContentRange: onRange((a) => honest(a, { "Content-Range": undefined })),
    /** 206 as multipart with one part. */
    multipart: onRange((a) => {
        const whole = Buffer.concat([
            Buffer.from(
                `--x\r\nContent-Type: text/plain\r\nContent-Range: bytes ${a.first}-${a.last}/${a.bytes.length}\r\n\r\n`,
            ),
            body(a),
            Buffer.from("\r\n--x--\r\n"),
        ]);
        send(
            a.socket,
            206,
            headers(a, {
                "Content-Type": "multipart/byteranges; boundary=x",
                "Content-Range": undefined,
                "Content-Length": whole.length,
            }),
            whole,
        );
    }),
    /** An ETag of its own on each reply, the bytes the same. */
    etagEachTime: (a) => {
        honest(a, { ETag: `"${a.request.number}"` });
        return true;
    },
    /** Ignores If-Range: gives parts of a new version, under the new ETag, to who asked for the old one. */
    etagIgnored: onGet((a) => {
        const range = /^bytes=(\d+)-(\d*)$/.exec(a.request.headers.range ?? "");
        if (!range) honest(a);
        else
            honest({
                ...a,
                ranged: true,
                first: Number(range[1]),
                last: range[2] ? Math.min(Number(range[2]), a.bytes.length - 1) : a.bytes.length - 1,
            });
    }),
    /** Says a weak ETag. */
    weakEtag: (a) => {
        honest(a, { ETag: `W/${a.etag}` });
        return true;
    },
    /** Says neither an ETag nor a date. */
    noValidator: (a) => {
        honest(a, { ETag: undefined, "Last-Modified": undefined });
        return true;
    },
    /** Closes the connection a thousand bytes before the promised end. */
    shortBody: onGet((a) => {
        send(a.socket, a.ranged ? 206 : 200, headers(a), body(a).subarray(0, -1000));
        a.socket.end();
    }),
    /** A second, forged reply behind the first, on the same connection. */
    longBody: onGet((a) => {
        honest(a);
        const wrong = Buffer.alloc(a.last - a.first + 1, "evil");
        send(a.socket, a.ranged ? 206 : 200, headers(a), wrong);
    }),
    /** A Content-Length that is a thousand bytes more than the part it names, and is sent. */
    longRange: onRange((a) => {
        const whole = Buffer.concat([body(a), Buffer.alloc(1000)]);
        send(a.socket, 206, headers(a, { "Content-Length": whole.length }), whole);
    }),
    /** A transfer coding together with a length. */
    codingAndLength: onGet((a) => {
        send(a.socket, a.ranged ? 206 : 200, [
            ...headers(a, { "Content-Length": 10 }),
            ["Transfer-Encoding", "chunked"],
        ]);
        a.socket.write(`${body(a).length.toString(16)}\r\n`);
        a.socket.write(body(a));
        a.socket.write("\r\n0\r\n\r\n");
    }),
    /** Chunked, which is allowed. */
    chunked: onGet((a) => {
        const bytes = body(a);
        send(a.socket, a.ranged ? 206 : 200, [
            ...headers(a, { "Content-Length": undefined }),
            ["Transfer-Encoding", "chunked"],
        ]);
        for (let at = 0; at < bytes.length; at += 100_000) {
            const piece = bytes.subarray(at, at + 100_000);
            a.socket.write(`${piece.length.toString(16)}\r\n`);
            a.socket.write(piece);
            a.socket.write("\r\n");
        }
        a.socket.write("0\r\n\r\n");
    }),
    /** Chunked, ending with a proper last chunk in the middle of the part. */
    chunkedShort: onGet((a) => {
        const bytes = body(a).subarray(0, body(a).length >> 1);
        send(a.socket, a.ranged ? 206 : 200, [
            ...headers(a, { "Content-Length": undefined }),
            ["Transfer-Encoding", "chunked"],
        ]);
        a.socket.write(`${bytes.length.toString(16)}\r\n`);
        a.socket.write(bytes);
        a.socket.write("\r\n0\r\n\r\n");
    }),
    /** Chunked, with a size that is no number. */
    chunkedGarbled: onGet((a) => {
        send(a.socket, a.ranged ? 206 : 200, [
            ...headers(a, { "Content-Length": undefined }),
            ["Transfer-Encoding", "chunked"],
        ]);
        a.socket.write("zz\r\nhello\r\n");
        a.socket.end();
    }),
    /** A negative Content-Length. */
    negativeLength: onGet((a) => {
        send(a.socket, a.ranged ? 206 : 200, headers(a, { "Content-Length": -1 }), body(a));
        a.socket.end();
    }),
    /** A Content-Length that is no number. */
    garbledLength: onGet((a) => {
        send(a.socket, a.ranged ? 206 : 200, headers(a, { "Content-Length": "12 apples" }), body(a));
        a.socket.end();
    }),
    /** A Content-Length beyond what 63 bits hold. */
    hugeLength: onGet((a) => {
        const length = "99999999999999999999999999";
        send(a.socket, a.ranged ? 206 : 200, headers(a, { "Content-Length": length }), body(a));
        a.socket.end();
    }),
    /** Two Content-Lengths that differ. */
    twoLengths: onGet((a) => {
        const both = [...headers(a), /** @type {[string, number]} */ (["Content-Length", 17])];
        send(a.socket, a.ranged ? 206 : 200, both, body(a));
        a.socket.end();
    }),
    /** A content coding that nobody asked for. */
    gzip: onGet((a) => {
        const packed = gzipSync(body(a), { level: 1 });
        const changed = { "Content-Encoding": "gzip", "Content-Length": packed.length };
        send(a.socket, a.ranged ? 206 : 200, headers(a, changed), packed);
    }),
    /** One header line without an end. */
    endlessHeader: onGet(async (a) => {
        a.socket.write("HTTP/1.1 206 Partial Content\r\nX-Long: ");
        await flood(a.socket, "a");
    }),
    /** Header lines without an end. */
    endlessHeaders: onGet(async (a) => {
        a.socket.write("HTTP/1.1 206 Partial Content\r\n");
        await flood(a.socket, "X-Many: of these\r\n");
    }),
    /** Interim replies without an end. */
    endlessInterim: onGet((a) => flood(a.socket, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")),
    /** A status line with a body but no end of the header. */
    headerCut: onGet((a) => {
        a.socket.write("HTTP/1.1 206 Partial Content\r\nContent-Le");
        a.socket.end();
    }),
    /** One byte five times a second. */
    slowDrip: onGet(async (a) => {
        send(a.socket, a.ranged ? 206 : 200, headers(a));
        const bytes = body(a);
        for (let at = 0; at < bytes.length && !a.socket.destroyed && a.evil.lie; at++) {
            a.socket.write(bytes.subarray(at, at + 1));
            await sleep(200);
        }
        a.socket.destroy();
    }),
    /** A third of the part, then silence. */
    stall: onGet(async (a) => {
        send(a.socket, a.ranged ? 206 : 200, headers(a), body(a).subarray(0, body(a).length / 3));
        for (const end = Date.now() + 90_000; !a.socket.destroyed && Date.now() < end;) await sleep(100);
        a.socket.destroy();
    }),
    /** Takes the request and never says a word. */
    silence: onGet(async (a) => {
        for (const end = Date.now() + 90_000; !a.socket.destroyed && Date.now() < end;) await sleep(100);
        a.socket.destroy();
    }),
    rangeNotSatisfiable: onGet((a) =>
        send(a.socket, 416, [
            ["Content-Range", "bytes */5"],
            ["Content-Length", 0],
        ]),
    ),
    notFound: always(404),
    forbidden: always(403),
    gone: always(410),
    serverError: always(500, [["Retry-After", 1]]),
    unavailableLong: always(503, [["Retry-After", 3600]]),
    garbledRetryAfter: always(503, [["Retry-After", "-99999999999999999999"]]),
    tooMany: always(429, [["Retry-After", 1]]),
    noContent: onGet((a) => send(a.socket, 204, [])),
    /** Sends the client round to the same place. */
    redirectLoop: onGet((a) =>
        send(a.socket, 302, [
            ["Location", `${a.evil.url}${a.request.target}`],
            ["Content-Length", 0],
        ]),
    ),
    /** Breaks the connection in the middle of a body. */
    breaksInBody: onGet(async (a) => {
        send(a.socket, a.ranged ? 206 : 200, headers(a), body(a).subarray(0, body(a).length / 2));
        await sleep(20);
        a.socket.resetAndDestroy();
    }),
    /** Breaks the connection at the request. */
    breaksAtOnce: onGet((a) => {
        a.socket.resetAndDestroy();
    }),
    /** Something that is not HTTP. */
    garbage: onGet((a) => {
        a.socket.write(Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) & 255)));
        a.socket.end();
    }),
    /** A body with no head at all. */
    bareBody: onGet((a) => {
        a.socket.write(body(a));
        a.socket.end();
    }),
    /** A status of four digits. */
    strangeStatus: onGet((a) => {
        a.socket.write("HTTP/1.1 9999 Over\r\nContent-Length: 3\r\n\r\nabc");
    }),
    /** HTTP/1.0, the end of the body being the end of the connection. */
    closeDelimited: onGet((a) => {
        a.socket.write(`HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nETag: ${a.etag}\r\n\r\n`, "latin1");
        a.socket.write(a.bytes);
        a.socket.end();
    }),
    /** The same, broken off: the client cannot know. */
    closeDelimitedShort: onGet((a) => {
        a.socket.write(`HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n`, "latin1");
        a.socket.write(a.bytes.subarray(0, a.bytes.length >> 1));
        a.socket.end();
    }),
    /** An ETag of sixty thousand characters. */
    longEtag: (a) => {
        honest(a, { ETag: `"${"e".repeat(60_000)}"` });
        return true;
    },
};
