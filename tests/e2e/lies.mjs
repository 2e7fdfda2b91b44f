// @ts-check
// The lies of a file server, for startEvil of evil.mjs. Each of `lies` says in one sentence what it does.

import { gzipSync } from "node:zlib";

import { body, headers, honest, send } from "./evil.mjs";
import { sleep } from "./harness.mjs";

/** @typedef {import("./evil.mjs").Asked} Asked */
/** @typedef {import("./evil.mjs").Lie} Lie */

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
 * @param {import("node:net").Socket} socket
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
