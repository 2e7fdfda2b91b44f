// @ts-check
// What a host shows of another host's files keeps up with them by itself.

import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import { addHost, makeFile, startHostpair, waitFor } from "./harness.mjs";
import { hashed, listed } from "./hosts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const GiB = 1024 ** 3;

/** A file's entry in the list of a host as `h` has it, without making it look. @param {Hostpair} h @param {string} host @param {string} path */
async function entry(h, host, path) {
    const { json } = await h.api(`/hosts/${host}/files?limit=1000`);
    return json.files.find((/** @type {any} */ file) => file.path === path);
}

describe("the list of another host", { concurrency: 1 }, () => {
    test("gets the root of a file that was hashed after it was listed", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        await makeFile(join(a.shareDir, "small"), 100);
        await hashed(a, 1);
        const { id } = await addHost(b, a.peerPort);
        await listed(b, id, 1);

        // Holes take no disk, and as long to hash as anything else.
        const file = await open(join(a.shareDir, "large"), "w");
        await file.truncate(6 * GiB);
        await file.close();
        await waitFor(
            async () => {
                await b.api(`/hosts/${id}/files/refresh`, { method: "POST" });
                return entry(b, id, "large");
            },
            { timeout: 20_000, interval: 200, what: "the large file in the list" },
        );
        const first = await entry(b, id, "large");
        assert.equal(first.root, null, "it is still being hashed");
        assert.equal(first.size, 6 * GiB);

        await hashed(a, 2);
        const began = Date.now();
        const { root } = await waitFor(
            async () => {
                const now = await entry(b, id, "large");
                return now.root !== null && now;
            },
            { timeout: 60_000, interval: 500, what: "its root in the list" },
        );
        assert.match(root, /^[0-9a-f]{64}$/);
        t.diagnostic(`known ${Date.now() - began} ms after it was`);
        const told = JSON.parse(
            (await a.peer("/hostpair", { headers: { accept: "application/json" } })).text,
        );
        assert.equal(told.hashed_bytes, told.bytes);
    });
});
