// @ts-check
// What tests with several hosts share: hosts with files on them, links to them, lists that are known, trees that are equal.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { join } from "node:path";

import { addHost, makeFile, sha256, startHostpair, waitFor } from "./harness.mjs";
import { makeIdentity, register } from "./identities.mjs";
import { startLink } from "./link.mjs";

/**
 * @typedef {import("./harness.mjs").Hostpair} Hostpair
 * @typedef {import("./harness.mjs").TestContext} TestContext
 *
 * @typedef {Record<string, { size: number, seed: number } | Buffer>} Files by path
 */

/** Names that a file system takes and programs stumble over. */
export const oddNames = [
    "ümläut ☃ 文件.txt",
    " leading and trailing ",
    "percent%20 and %zz.txt",
    "hash#question?.txt",
    "back\\slash.txt",
    "-dash",
    "--help",
    `quote'"\`$(x).txt`,
    "emoji 🦊.bin",
    ".hidden",
    "plus+and&semi;colon:.txt",
    "[brackets]{braces}*.txt",
    "dot.",
    "...",
    "e\u0301 is not \u00e9",
    "list",
    "hostpair",
    "manifest",
    "torrent",
    "favicon.ico",
    "index.html",
    "CON",
    "til~de",
    `${"l".repeat(251)}.txt`,
    "文".repeat(85),
];

/**
 * Writes files below a folder.
 * @param {string} folder
 * @param {Files} files
 */
export async function makeFiles(folder, files) {
    for (const [path, what] of Object.entries(files)) {
        const full = join(folder, path);
        if (Buffer.isBuffer(what)) {
            await makeFile(full, 0);
            await writeFile(full, what);
        } else {
            await makeFile(full, what.size, what.seed);
        }
    }
}

/**
 * Waits until `h` has found `count` files and hashed all of them, and says so in its list. `bytes`: what they have in
 * all; without it, files that are still being written may be taken for whole.
 * @param {Hostpair} h @param {number} count @param {number} [bytes]
 */
export const hashed = (h, count, bytes) =>
    waitFor(
        async () => {
            const { share } = (await h.api("/status")).json;
            if (share.files !== count || share.hashed_bytes !== (bytes ?? share.bytes)) return false;
            const { text } = await h.peer("/list", { headers: { accept: "application/x-ndjson" } });
            const files = text
                .trim()
                .split("\n")
                .map((line) => JSON.parse(line));
            return files.length === count && files.every((f) => f.root || f.size === 0);
        },
        { timeout: 120_000, what: `${count} shared files being hashed` },
    );

/**
 * A host that shares these files, all hashed.
 * @param {TestContext} t
 * @param {string} name
 * @param {Files} files
 */
export async function sharing(t, name, files) {
    const h = await startHostpair({ t, name });
    await makeFiles(h.shareDir, files);
    const sizes = Object.values(files).map((file) => (Buffer.isBuffer(file) ? file.length : file.size));
    await hashed(
        h,
        sizes.length,
        sizes.reduce((sum, size) => sum + size, 0),
    );
    return h;
}

/**
 * Waits until `h` knows `count` files of a host, each with its root unless `plain`.
 * @param {Hostpair} h @param {string} host @param {number} count @param {{ plain?: boolean }} [options]
 */
export async function listed(h, host, count, { plain = false } = {}) {
    /** @type {any} */
    let json;
    await waitFor(
        async () => {
            json = (await h.api(`/hosts/${host}/files?limit=1000`)).json;
            const below = json.folders.reduce(
                (/** @type {number} */ n, /** @type {any} */ f) => n + f.files,
                0,
            );
            const rooted = json.files.every((/** @type {any} */ f) => f.root || f.size === 0);
            return json.files.length + below === count && (plain || rooted);
        },
        {
            timeout: 30_000,
            what: `a list of ${count} files of ${host}`,
            detail: () => ({ list: json.files.slice(0, 5), total: json.total, log: h.stderr().slice(-2000) }),
        },
    );
}

/**
 * Makes a host known to `h` through a link of its own, and waits for its list.
 * @param {TestContext} t
 * @param {Hostpair} h
 * @param {number} port of the host
 * @param {{ rate?: number, files?: number, plain?: boolean }} [options] bytes a second; how many files it lists
 */
export async function linked(t, h, port, { rate = 0, files = 1, plain = false } = {}) {
    const link = await startLink({ t, to: port, rate });
    const { id } = await addHost(h, link.port);
    await listed(h, id, files, { plain });
    return { link, id };
}

/**
 * A host that is only its answer to GET /hostpair, and to what `handler` answers. It proves the key of `identity` by
 * TLS; with `plain` it speaks plain HTTP alone, as hostpair 0.1 does. `id`: what it says of itself, if that is not so.
 * @param {TestContext} t
 * @param {object} [options]
 * @param {import("./identities.mjs").Identity} [options.identity]
 * @param {boolean} [options.plain]
 * @param {string} [options.id]
 * @param {string} [options.name]
 * @param {string} [options.address]
 * @param {number} [options.port] 0: a free one
 * @param {number} [options.ahead] of its clock, ms
 * @param {(req: http.IncomingMessage, res: http.ServerResponse) => boolean} [options.handler] false: not its business
 */
export async function fakeHost(t, options = {}) {
    const {
        identity = makeIdentity(),
        plain = false,
        name = "fake",
        address = "127.0.0.1",
        ahead = 0,
    } = options;
    const id = options.id ?? identity.id;
    const fake = { port: 0, id, identity, name, probes: 0, requests: 0, close };
    /** @param {http.IncomingMessage} req @param {http.ServerResponse} res */
    const answer = (req, res) => {
        fake.requests++;
        if (options.handler?.(req, res)) return;
        if (req.url !== "/hostpair") return void res.writeHead(404).end();
        fake.probes++;
        const time = new Date(Date.now() + ahead).toISOString();
        const protocol = plain ? 1 : 2;
        const json = { id, name: fake.name, version: "0", protocol, time, files: 0, bytes: 0 };
        res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(json));
    };
    const server = plain
        ? http.createServer(answer)
        : https.createServer(
              {
                  key: identity.key,
                  cert: identity.cert,
                  requestCert: true,
                  rejectUnauthorized: false,
                  minVersion: "TLSv1.3",
              },
              answer,
          );
    await new Promise((done, fail) => {
        server.once("error", fail);
        server.listen(options.port ?? 0, address, () => done(undefined));
    });
    async function close() {
        server.closeAllConnections();
        if (server.listening) await new Promise((done) => server.close(done));
    }
    t.after(close);
    const at = server.address();
    if (at && typeof at === "object") fake.port = at.port;
    register(fake.port, () => identity);
    return fake;
}

/** Body bytes of files, not of lists and hash trees, that a link carried. @param {import("./link.mjs").Link} link */
export const fileBytes = (link) =>
    link.carried(
        (r) =>
            r.method === "GET" &&
            !/^\/(manifest|list|hostpair)\b/.test(r.path) &&
            (r.status === 200 || r.status === 206),
    );

/** The paths of all files below a folder, sorted. @param {string} folder */
export function pathsBelow(folder) {
    /** @type {string[]} */
    const paths = [];
    const walk = (/** @type {string} */ below) => {
        for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
            const path = below ? `${below}/${entry.name}` : entry.name;
            if (entry.isDirectory()) walk(path);
            else paths.push(path);
        }
    };
    walk("");
    return paths.sort();
}

/** Same paths, same bytes, nothing more and nothing less. @param {string} got @param {string} wanted */
export async function assertSameTree(got, wanted) {
    assert.deepEqual(pathsBelow(got), pathsBelow(wanted));
    for (const path of pathsBelow(wanted))
        assert.equal(await sha256(join(got, path)), await sha256(join(wanted, path)), path);
}

/**
 * How many files below a folder have their names; each has to be whole, under the name that it has in `wanted`. Part files
 * do not count.
 * @param {string} got @param {string} wanted
 */
export async function wholeFiles(got, wanted) {
    if (!existsSync(got)) return 0;
    const names = pathsBelow(got).filter((path) => !path.endsWith(".hostpair-part"));
    const there = new Set(pathsBelow(wanted));
    for (const path of names) {
        assert.ok(there.has(path), `${path} is there twice`);
        assert.equal(await sha256(join(got, path)), await sha256(join(wanted, path)), `${path} is half`);
    }
    return names.length;
}

/** A clean sentence for a person. @param {unknown} text */
export function assertWords(text) {
    assert.ok(typeof text === "string" && /\S+ \S+ \S+/.test(text), `"${text}" is no sentence`);
    assert.doesNotMatch(text, /undefined|\(null\)|%[sdlzu]|[\x00-\x1f\x7f]/, "a clean sentence");
}
