// @ts-check
// hostpair as the benchmarks use it, always without scan and beacon, and the files that all programs get.

import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import http from "node:http";
import { dirname, join } from "node:path";

import { addHost, download, makeFile, sha256, startHostpair, waitFor } from "../e2e/harness.mjs";
import { MiB, warm, watch } from "./measure.mjs";

/** @typedef {import("../e2e/harness.mjs").Hostpair} Hostpair */

/**
 * What every row gets.
 * @typedef {object} Bench
 * @property {number} rounds
 * @property {boolean} full
 * @property {string} work a folder on the disk that is measured
 * @property {(text: string) => void} say what is going on now
 */

/** @type {Map<string, Promise<{ path: string, sha256: string }>>} */
const made = new Map();

/**
 * A file of random bytes, made once, in the page cache, with its hash.
 * @param {Bench} bench @param {number} size @param {number} [seed]
 */
export async function masterFile(bench, size, seed = 1) {
    const path = join(bench.work, "masters", `${size}-${seed}`);
    const file =
        made.get(path) ?? makeFile(path, size, seed).then(async () => ({ path, sha256: await sha256(path) }));
    made.set(path, file);
    const result = await file;
    await warm(path);
    return result;
}

/** @param {Bench} bench @param {string} name @returns {string} an empty folder */
export function emptyFolder(bench, name) {
    const folder = join(bench.work, name);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    return folder;
}

/**
 * A folder with hard links to master files.
 * @param {Bench} bench @param {string} name @param {Record<string, string>} files name to path
 */
export function folderOf(bench, name, files) {
    const folder = emptyFolder(bench, name);
    for (const [file, path] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, file)), { recursive: true });
        linkSync(path, join(folder, file));
    }
    return folder;
}

/** Makes `count` small files, a hundred a folder, and says the hash of them all. @param {string} folder @param {number} count @param {number} size */
export async function makeMany(folder, count, size) {
    for (let i = 0; i < count; i++)
        await makeFile(join(folder, `d${Math.floor(i / 100)}`, `f${i}`), size, i + 1);
    return await hashOfTree(folder);
}

/**
 * One hash over the names and bytes of all files below a folder. Pages of directories that wget makes do not count.
 * @param {string} folder
 */
export async function hashOfTree(folder) {
    const hash = createHash("sha256");
    const names = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith("index.html"))
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
        .sort();
    for (const name of names) hash.update(`${name}\n${await sha256(join(folder, name))}\n`);
    return `${names.length} files, ${hash.digest("hex")}`;
}

/**
 * A hostpair that shares a folder, once everything in it is hashed.
 * @param {string} share @param {string} [name]
 */
export async function startSource(share, name = "source") {
    const source = await startHostpair({ name, share });
    await waitHashed(source);
    return source;
}

/**
 * Waits until a source has hashed all its files, and has at least so many.
 * @param {Hostpair} source @param {number} [files]
 */
export function waitHashed(source, files = 1) {
    return waitFor(
        async () => {
            const { share } = await ask(source, "/status");
            return share.files >= files && share.hashed_bytes === share.bytes;
        },
        { timeout: 600_000, interval: 4, what: "the source to have hashed its files" },
    );
}

/**
 * A hostpair that knows nobody.
 * @param {string} downloads where it is to put what it fetches @param {{ beacon?: boolean }} [options]
 */
export const startBareReceiver = (downloads, options = {}) =>
    startHostpair({ name: "receiver", downloads, ...options });

/**
 * A hostpair that knows the sources and has their lists.
 * @param {Bench} bench @param {Hostpair[]} sources @param {string} path a file that all of them have
 */
export async function startReceiver(bench, sources, path) {
    const receiver = await startHostpair({
        name: "receiver",
        downloads: emptyFolder(bench, "received"),
    });
    const hosts = [];
    for (const source of sources) {
        const host = await addHost(receiver, source.peerPort);
        await refresh(receiver, host.id, path);
        hosts.push(host);
    }
    return { receiver, hosts };
}

/**
 * Fetches a host's file list, which has that file with its root then.
 * @param {Hostpair} receiver @param {string} host @param {string} path
 */
export async function refresh(receiver, host, path) {
    const at = path.lastIndexOf("/");
    const query = new URLSearchParams({ folder: at < 0 ? "" : path.slice(0, at), limit: "1000" });
    const listed = async () => {
        const reply = await receiver.api(`/hosts/${host}/files?${query}`);
        const { files = [] } = reply.status === 200 ? reply.json : {};
        return files.find((/** @type {any} */ f) => f.path === path && f.root !== null);
    };
    const reply = await receiver.api(`/hosts/${host}/files/refresh`, { method: "POST" });
    if (reply.status >= 300) throw new Error(`refresh: ${reply.status} ${reply.text}`);
    return await waitFor(listed, { interval: 4, timeout: 60_000, what: `${path} in the source's list` });
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });

/** A GET of the API on a kept connection. @param {Hostpair} h @param {string} path @returns {Promise<any>} */
export function ask(h, path) {
    return new Promise((done, fail) => {
        http.get(h.apiUrl(path), { agent }, (res) => {
            let text = "";
            res.setEncoding("utf8").on("data", (part) => (text += part));
            res.on("end", () =>
                res.statusCode === 200 ? done(JSON.parse(text)) : fail(new Error(`${path}: ${text}`)),
            );
        }).on("error", fail);
    });
}

/**
 * Orders a download and waits until it is done.
 * @param {Hostpair} receiver @param {Record<string, unknown>} order
 * @param {{ verified?: boolean, interval?: number, timeout?: number }} [options]
 */
export async function fetchNow(receiver, order, { verified = true, interval = 4, timeout = 600_000 } = {}) {
    const { id } = await download(receiver, order);
    const done = await waitFor(
        async () => {
            const now = await ask(receiver, `/downloads/${id}`);
            if (now.state === "failed")
                throw new Error(`the download failed: ${now.error?.detail ?? now.reason}`);
            return now.state === "done" && now;
        },
        { interval, timeout, what: "the download to be done", detail: () => receiver.stderr().slice(-1000) },
    );
    if (verified && !done.verified) throw new Error("the download was not verified against its hash tree");
    return done;
}

/** Forgets a finished download. What it brought stays. @param {Hostpair} receiver @param {any} done */
export const forgetOnly = (receiver, done) =>
    receiver.api(`/downloads/${done.id}?data=keep`, { method: "DELETE" });

/** Forgets a finished download and removes what it brought. @param {Hostpair} receiver @param {any} done */
export async function forget(receiver, done) {
    await forgetOnly(receiver, done);
    rmSync(join(receiver.downloadsDir, done.path), { recursive: true, force: true });
}

/**
 * hostpair's part in a contest: a host's file is downloaded, compared and removed again.
 * @param {Hostpair} receiver @param {{ host: string, path: string }} order
 * @param {{ sha256: string }} file @param {number} size
 * @returns {import("./measure.mjs").Contestant}
 */
export function downloading(receiver, order, file, size) {
    /** @type {any} */
    let done;
    return {
        name: "hostpair",
        turn: async () => ({
            ...(await watch(receiver.pid, async () => {
                done = await fetchNow(receiver, order);
            })),
            bytes: size,
        }),
        check: () => checkFile(join(receiver.downloadsDir, done.path), file.sha256),
        clean: () => forget(receiver, done),
    };
}

/** @param {string} path @param {string} expected */
export async function checkFile(path, expected) {
    if (!existsSync(path)) throw new Error(`${path} is not there`);
    const got = await sha256(path);
    if (got !== expected)
        throw new Error(
            `${path} (${statSync(path).size} bytes) has the SHA-256 ${got}, expected ${expected}`,
        );
}

/** Changes settings. @param {Hostpair} h @param {Record<string, unknown>} settings */
export async function change(h, settings) {
    const reply = await h.api("/settings", { method: "PATCH", json: settings });
    if (reply.status >= 300) throw new Error(`settings: ${reply.status} ${reply.text}`);
}

/** A value of /metrics. @param {Hostpair} h @param {string} name */
export async function metric(h, name) {
    const text = (await h.api("/metrics")).text;
    const line = new RegExp(`^hostpair_${name} (\\d+)`, "m").exec(text);
    if (!line) throw new Error(`no metric ${name}`);
    return Number(line[1]);
}

export { MiB };
