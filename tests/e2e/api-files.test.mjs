// @ts-check
// The lists of files in the dashboard's REST API: by folder, in order, in pages, searched, new, and of hosts that are away.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { TIME, a, assertProblem, assertShape, b, host, link, startPair, stopPair } from "./api.mjs";
import { addHost, download, makeFile, startHostpair, waitFor, waitState } from "./harness.mjs";

before(startPair);
after(stopPair);

describe("the files of a host", () => {
    /** @param {string} query */
    const files = async (query) => {
        const reply = await b.api(`/hosts/${host.id}/files${query}`);
        assert.equal(reply.status, 200, reply.text);
        return reply.json;
    };
    /** @param {any} page */
    const names = (page) => page.files.map((/** @type {any} */ f) => f.name);

    test("are listed by folder", async () => {
        const top = await files("");
        assertShape(top, { folders: "array", files: "array", total: "int" }, "files");
        assert.deepEqual(names(top).sort(), ["big.bin", "empty.dat", "one.txt", "two.bin", "zz last.txt"]);
        assert.deepEqual(top.folders, [{ name: "folder", files: 3, bytes: 5010 }]);
        assert.equal(top.next, null);
        for (const file of top.files) {
            assertShape(
                file,
                { path: "string", name: "string", size: "int", mtime: TIME, type: "string", root: "string?" },
                "file",
            );
            assert.ok("local" in file);
        }
        const one = top.files.find((/** @type {any} */ f) => f.name === "one.txt");
        assert.equal(one.size, 1000);
        assert.match(one.type, /^text\/plain/);
        assert.match(one.root, /^[0-9a-f]{64}$/);
        assert.equal(top.files.find((/** @type {any} */ f) => f.name === "empty.dat").root, null);

        const inside = await files("?folder=folder");
        assert.deepEqual(names(inside).sort(), ["three.jpg", "ünï côdé 文件.txt"]);
        assert.deepEqual(inside.folders, [{ name: "deep", files: 1, bytes: 3000 }]);
        assert.equal(inside.files[0].path.split("/")[0], "folder");
        assert.deepEqual(names(await files("?folder=folder/deep")), ["four.mp4"]);
    });

    test("are sorted either way", async () => {
        for (const [sort, key] of [
            ["name", "name"],
            ["size", "size"],
            ["mtime", "mtime"],
        ]) {
            const up = (await files(`?sort=${sort}&order=asc`)).files.map((/** @type {any} */ f) => f[key]);
            const down = (await files(`?sort=${sort}&order=desc`)).files.map(
                (/** @type {any} */ f) => f[key],
            );
            assert.equal(up.length, 5);
            for (let i = 1; i < up.length; i++) {
                assert.ok(up[i - 1] <= up[i], `${sort} ascending: ${up}`);
                assert.ok(down[i - 1] >= down[i], `${sort} descending: ${down}`);
            }
        }
    });

    test("are found by a part of their name", async () => {
        assert.deepEqual(names(await files("?q=one")), ["one.txt"]);
        const found = await files(`?q=${encodeURIComponent("côdé")}`);
        assert.deepEqual(names(found), ["ünï côdé 文件.txt"]);
        assert.deepEqual(names(await files("?q=no-such-thing")), []);
        assert.deepEqual(names(await files(`?q=${encodeURIComponent("%")}`)), [], "no wildcard");
        assert.deepEqual(names(await files(`?q=${encodeURIComponent("' OR 1=1 --")}`)), []);
    });

    test("come in pages that leave none out", async () => {
        /** @type {string[]} */
        const seen = [];
        let cursor = "";
        for (let i = 0; i < 10; i++) {
            const page = await files(
                `?limit=2&sort=name${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
            );
            assert.ok(page.files.length <= 2);
            seen.push(...names(page));
            if (page.next === null) break;
            cursor = String(page.next);
        }
        assert.deepEqual(seen.sort(), ["big.bin", "empty.dat", "one.txt", "two.bin", "zz last.txt"]);
    });

    test("with a bad question are refused, naming it", async () => {
        for (const [query, field] of [
            ["sort=colour", /sort/],
            ["order=up", /order/],
            ["limit=-1", /limit/],
            ["limit=many", /limit/],
            ["cursor=garbage%00", /cursor/],
        ])
            assertProblem(
                await b.api(`/hosts/${host.id}/files?${query}`),
                [400, 422],
                /** @type {RegExp} */ (field),
            );
    });

    test("are there while the host is offline, and show what is here already", async () => {
        const d = await download(b, { host: host.id, path: "zz last.txt" });
        await waitState(b, d.id, "done");
        await waitFor(
            async () => {
                const page = await files("");
                return page.files.find((/** @type {any} */ f) => f.name === "zz last.txt").local === "done";
            },
            { what: "local: done" },
        );
        link.goDown();
        try {
            assert.equal((await files("")).files.length, 5);
        } finally {
            link.comeUp();
        }
    });

    test("that are new are there after a refresh", async () => {
        writeFileSync(join(a.shareDir, "fresh.txt"), "new");
        try {
            await waitFor(
                async () => {
                    const reply = await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
                    assert.ok([200, 202].includes(reply.status), `${reply.status} ${reply.text}`);
                    return names(await files("")).includes("fresh.txt");
                },
                { what: "fresh.txt", interval: 200 },
            );
        } finally {
            await rm(join(a.shareDir, "fresh.txt"));
            await waitFor(
                async () => {
                    await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
                    return !names(await files("")).includes("fresh.txt");
                },
                { what: "fresh.txt being gone", interval: 200 },
            );
        }
    });

    test("that are new are there soon after somebody looked", async () => {
        // Without scan and beacon nothing else tells of them for 90 s.
        const has = async () => names(await files("")).includes("looked.txt");
        writeFileSync(join(a.shareDir, "looked.txt"), "new");
        try {
            await waitFor(has, { what: "looked.txt", interval: 200, timeout: 15_000 });
        } finally {
            await rm(join(a.shareDir, "looked.txt"));
            await waitFor(async () => !(await has()), {
                what: "looked.txt being gone",
                interval: 200,
                timeout: 15_000,
            });
        }
    });

    test("are searched over all hosts, the same content once", async (t) => {
        const c = await startHostpair({ t, name: "c" });
        await makeFile(join(c.shareDir, "copy of one.txt"), 1000, 60);
        const other = await addHost(b, c.peerPort);
        t.after(() => b.api(`/hosts/${other.id}`, { method: "DELETE" }));
        const result = await waitFor(
            async () => {
                await b.api(`/hosts/${other.id}/files/refresh`, { method: "POST" });
                const { json } = await b.api("/search?q=one.txt");
                return json.results.find((/** @type {any} */ r) => r.copies.length === 2);
            },
            { what: "both copies in one result", interval: 200 },
        );
        assertShape(result, { name: "string", size: "int", root: "string", copies: "array" }, "result");
        assert.deepEqual(
            result.copies.map((/** @type {any} */ x) => x.host).sort(),
            [host.id, other.id].sort(),
        );
    });
});
