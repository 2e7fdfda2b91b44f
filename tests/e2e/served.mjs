// @ts-check
// A folder with names of every kind, links that lead out of it among them, and a host that shares it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { makeFile, startHostpair, tempDir, waitFor } from "./harness.mjs";
import { fetchRaw } from "./protocol.mjs";

export const SECRET = "what no client may ever see";
export const RESERVED = ["hostpair", "list", "files", "manifest", "torrent", "message", "favicon.ico"];

/** Names that are served, with their content. @type {Record<string, string>} */
export const NAMES = {
    "plain.txt": "plain",
    "a b.txt": "space",
    "100%.txt": "percent",
    "%41.txt": "escape",
    "%2e%2e": "dots in escapes",
    "what?.txt": "question",
    "hash#.txt": "hash",
    "plus+and&.txt": "plus",
    "semi;colon=.txt": "semicolon",
    "quote'\".txt": "quotes",
    "back\\slash.txt": "backslash",
    "<b>.html": "<b>tag</b>",
    "äöü€漢字😀.txt": "unicode",
    "e\u0301.txt": "decomposed",
    ".hidden": "hidden",
    "..dots": "two dots",
    "...": "three dots",
    "trailing. ": "trailing",
    "~": "tilde",
    "sub/deep/file.txt": "deep",
    "sub/a b/c%.txt": "deep names",
    [`${"x".repeat(251)}.txt`]: "longest",
};

/** @param {string} path */
export const encode = (path) => path.split("/").map(encodeURIComponent).join("/");

/** Starts the host, and waits until it has all that it offers. */
export async function startServing() {
    const base = tempDir();
    const share = join(base, "share");
    const outside = join(base, "outside");
    for (const dir of [share, outside, join(share, "folder"), join(share, "empty folder")])
        mkdirSync(dir, { recursive: true });
    for (const [name, text] of Object.entries(NAMES)) {
        mkdirSync(join(share, name, ".."), { recursive: true });
        writeFileSync(join(share, name), text);
    }
    for (const word of RESERVED.slice(0, 6)) writeFileSync(join(share, word), `file ${word}`);
    mkdirSync(join(share, "favicon.ico"));
    writeFileSync(join(share, "favicon.ico/inner.txt"), "inner");
    writeFileSync(join(share, "empty.bin"), "");
    await makeFile(join(share, "folder/data.bin"), 3_000_001, 7);
    writeFileSync(join(outside, "secret.txt"), SECRET);
    writeFileSync(join(base, "secret.txt"), SECRET);
    // Names that are never served.
    writeFileSync(Buffer.concat([Buffer.from(join(share, "bad-")), Buffer.from([0xff, 0xfe])]), "not utf-8");
    writeFileSync(join(share, "line\nbreak.txt"), "control");
    writeFileSync(join(share, "del\x7f.txt"), "control");
    writeFileSync(join(share, "c1\u0085.txt"), "control");
    writeFileSync(join(share, ".film.mkv.12.hostpair-part"), "part");
    writeFileSync(join(share, "folder/.film.mkv.3.hostpair-part"), "part");
    writeFileSync(join(share, "unreadable.txt"), "unreadable");
    execFileSync("mkfifo", [join(share, "pipe")]);
    symlinkSync("plain.txt", join(share, "link-inside"));
    symlinkSync("folder", join(share, "link-folder"));
    symlinkSync("../folder/data.bin", join(share, "sub/link-up"));
    symlinkSync("../outside/secret.txt", join(share, "link-outside"));
    symlinkSync(join(outside, "secret.txt"), join(share, "link-absolute"));
    symlinkSync("../outside", join(share, "link-out-folder"));
    symlinkSync("..", join(share, "link-parent"));
    symlinkSync("/proc/self/environ", join(share, "link-proc"));
    symlinkSync("loop-b", join(share, "loop-a"));
    symlinkSync("loop-a", join(share, "loop-b"));
    symlinkSync("nowhere", join(share, "dangling"));
    const h = await startHostpair({ name: "Büro 1/2", share });
    const port = h.peerPort;
    await waitFor(async () => (await ndjson(port)).length >= Object.keys(NAMES).length + 9, {
        what: "the index",
        timeout: 30_000,
    });
    // The tags of files that have only just been written are weak; these are meant to be strong.
    await waitFor(async () => !(await fetchRaw(port, "/plain.txt")).headers.etag.startsWith("W/"));
    return { h, base, share, port };
}

/** All files, as GET /list tells them. @param {number} port @returns {Promise<any[]>} */
export async function ndjson(port) {
    const reply = await fetchRaw(port, "/list", { headers: { Accept: "application/x-ndjson" } });
    assert.equal(reply.status, 200);
    assert.ok(reply.text === "" || reply.text.endsWith("\n"));
    return reply.text
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line));
}
