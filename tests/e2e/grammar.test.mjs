// @ts-check
// Both listeners get requests that a grammar makes: whole, pipelined, in drips, broken off. hostpair lives on, every answer is
// HTTP, and when all is over nothing is left of it. HP_E2E_REQUESTS sets how many (default 1000), HP_E2E_SEED which.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import { randomOf } from "./crash.mjs";
import { grammar } from "./grammar.mjs";
import { makeFile, sleep, startHostpair, waitFor } from "./harness.mjs";

const requests = Number(process.env.HP_E2E_REQUESTS || 1000);
const firstSeed = Number(process.env.HP_E2E_SEED || Math.floor(Math.random() * 1e6));
const AT_ONCE = 8;
const MOST_PIPELINED = 5;
const QUIET_MS = 1500; // then a request that waits for more of itself is broken off
const GROWTH_KB = 300_000; // of memory; AddressSanitizer keeps 256 MB of what was freed

/**
 * Whether the bytes are replies one after the other. Where a request was bent nobody knows which reply answers a HEAD, so
 * both readings count.
 * @param {string} text one character a byte
 * @param {boolean} whole the other side ended it: there is no reply in part
 * @returns {number} replies, or -1
 */
export function repliesIn(text, whole, at = 0) {
    if (at === text.length) return 0;
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0)
        return whole ? -1 : /^HTTP?\/?/.test(text.slice(at, at + 5)) || text.length - at < 5 ? 0 : -1;
    const [line, ...fields] = text.slice(at, end).split("\r\n");
    const status = /^HTTP\/1\.[01] ([1-5]\d\d)( |$)/.exec(line)?.[1];
    if (!status || fields.some((field) => !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]?[^\0\r\n]*$/.test(field)))
        return -1;
    const field = (/** @type {string} */ name) =>
        fields
            .find((each) => each.toLowerCase().startsWith(`${name}:`))
            ?.slice(name.length + 1)
            .trim();
    const start = end + 4;
    /** Where the reply may end. @type {number[]} */
    const ends = [start];
    if (!/^(1..|204|304)$/.test(status)) {
        const length = field("content-length");
        if (length !== undefined) {
            if (!/^\d+$/.test(length)) return -1;
            ends.push(start + Number(length));
        } else if (field("transfer-encoding") === "chunked") {
            ends.push(endOfChunks(text, start));
        } else ends.push(text.length);
    }
    for (const next of ends) {
        if (next < 0) continue;
        if (next > text.length) {
            if (!whole) return 1;
            continue;
        }
        const more = repliesIn(text, whole, next);
        if (more >= 0) return more + 1;
    }
    return -1;
}

/** @param {string} text @param {number} at @returns {number} past the end of the text when it is not all there */
function endOfChunks(text, at) {
    for (;;) {
        const line = text.indexOf("\r\n", at);
        if (line < 0) return text.length + 1;
        const size = text.slice(at, line);
        if (!/^[0-9a-f]+$/i.test(size)) return -1;
        at = line + 2 + parseInt(size, 16) + 2;
        if (at > text.length) return text.length + 1;
        if (parseInt(size, 16) === 0) return at;
    }
}

/**
 * One connection: its bytes go out in the manner that chance chooses.
 * @param {number} port @param {Buffer} bytes @param {() => number} random
 * @returns {Promise<{ text: string, whole: boolean, manner: string }>}
 */
async function send(port, bytes, random) {
    const manner = random() < 0.6 ? "whole" : random() < 0.6 ? "drips" : "broken off";
    const socket = net.connect(port, "127.0.0.1");
    /** @type {Buffer[]} */
    const parts = [];
    let closed = false;
    let last = performance.now();
    let failed = false;
    socket.on("data", (part) => {
        parts.push(part);
        last = performance.now();
    });
    socket.on("error", () => (failed = true));
    socket.on("close", () => (closed = true));
    if (manner === "whole") socket.write(bytes);
    else {
        const until = manner === "drips" ? bytes.length : Math.floor(random() * bytes.length);
        const step = Math.max(1, Math.floor(until / (2 + random() * 12)));
        for (let at = 0; at < until && !closed; at += step) {
            socket.write(bytes.subarray(at, Math.min(at + step, until)));
            await sleep(1);
        }
    }
    if (manner === "broken off") {
        if (random() < 0.5) socket.resetAndDestroy();
        else socket.destroy();
    } else while (!closed && performance.now() - last < QUIET_MS) await sleep(5);
    const whole = closed && !failed && manner === "whole";
    socket.destroy();
    return { text: Buffer.concat(parts).toString("latin1"), whole, manner };
}

/** @param {number} pid */
const memoryOf = (pid) => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
/** @param {number} pid */
const descriptorsOf = (pid) => readdirSync(`/proc/${pid}/fd`).length;

test(
    `${requests} requests of a grammar leave hostpair as it was`,
    { timeout: 120_000 + requests * 300 },
    async (t) => {
        t.diagnostic(`seed ${firstSeed}`);
        const h = await startHostpair({ t, name: "h" });
        await makeFile(join(h.shareDir, "film.bin"), 100_000, 3);
        await makeFile(join(h.shareDir, "many/one.bin"), 5000, 4);
        await waitFor(async () => (await h.api("/status")).json.share.hashed_bytes === 105_000);
        const before = { descriptors: descriptorsOf(h.pid), memory: memoryOf(h.pid) };
        const pid = h.pid;
        const count = { requests: 0, connections: 0, replies: 0 };
        /** @type {Record<string, number>} */
        const manners = {};

        /** @param {number} seed */
        async function client(seed) {
            const random = randomOf(seed);
            const kinds = /** @type {const} */ (["peer", "dashboard"]);
            const next = kinds.map((kind, i) => grammar(seed * 2 + i, kind));
            while (count.requests < requests) {
                const which = random() < 0.5 ? 0 : 1;
                const pipelined = 1 + Math.floor(random() * MOST_PIPELINED);
                const bytes = Buffer.concat(Array.from({ length: pipelined }, () => next[which]()));
                count.requests += pipelined;
                count.connections++;
                const port = which === 0 ? h.peerPort : h.dashboardPort;
                const { text, whole, manner } = await send(port, bytes, random);
                manners[manner] = (manners[manner] ?? 0) + 1;
                const replies = repliesIn(text, whole);
                const where = `seed ${firstSeed}, ${kinds[which]}, ${manner}`;
                assert.ok(
                    h.running() && h.pid === pid,
                    `${where}: hostpair ended\n${bytes.toString("latin1").slice(0, 3000)}`,
                );
                assert.ok(
                    replies >= 0,
                    `${where}: no HTTP:\n${text.slice(0, 2000)}\nto:\n${bytes.toString("latin1").slice(0, 3000)}`,
                );
                count.replies += replies;
            }
        }
        await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => client(firstSeed + i)));

        assert.equal((await h.api("/status")).status, 200);
        assert.ok((await h.peer("/hostpair/status")).status < 500);
        await waitFor(() => descriptorsOf(h.pid) <= before.descriptors + 4, {
            timeout: 60_000,
            what: `${before.descriptors} descriptors`,
            detail: () => descriptorsOf(h.pid),
        });
        const grown = memoryOf(h.pid) - before.memory;
        assert.ok(grown < GROWTH_KB, `${grown} KB more than before`);
        assert.ok(
            count.replies > count.requests / 4,
            `${count.replies} replies to ${count.requests} requests`,
        );
        t.diagnostic(
            `${count.requests} requests on ${count.connections} connections (${JSON.stringify(manners)}), ` +
                `${count.replies} replies, ${descriptorsOf(h.pid)} descriptors (${before.descriptors} before), ${grown} KB more`,
        );
    },
);

test("what is no HTTP is told from what is", () => {
    const good = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    const head = "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n";
    assert.equal(repliesIn(good + chunked + head + good, true), 4);
    assert.equal(repliesIn(`${good}HTTP/1.1 200 OK\r\ncontent-le`, false), 1, "a part of a reply");
    for (const bad of [
        "garbage",
        "HTTP/1.1 099 No\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        `${good}xx`,
        "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        `${chunked.replace("2\r\nok", "2\r\nokay")}`,
    ])
        assert.equal(repliesIn(bad, true), -1, bad);
});
