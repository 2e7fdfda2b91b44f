// @ts-check
// The database as a process finds it and leaves it: kept, locked, newer, damaged, of another program, deleted, empty.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import { harmless, makeBytes, runHostpair, sha256, startHostpair, waitFor } from "./harness.mjs";

describe("the database", { concurrency: 3 }, () => {
    /** @param {import("node:test").TestContext} t */
    async function used(t) {
        const h = await startHostpair({ t, name: "h" });
        const { id } = (await h.api("/status")).json;
        await h.stop();
        return {
            h,
            id,
            file: join(h.dataDir, "hostpair.db"),
            args: harmless(h.root).slice(0, -1).concat(h.dataDir),
        };
    }

    test("keeps the id over a restart", async (t) => {
        const { h, id } = await used(t);
        await h.start();
        assert.equal((await h.api("/status")).json.id, id);
    });

    test("serves one process at a time", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const { code, stderr } = await runHostpair(harmless(h.root).slice(0, -1).concat(h.dataDir));
        assert.ok(code !== 0 && code !== null && code !== 86, `code ${code}`);
        assert.ok(stderr.includes(h.dataDir), stderr);
        assert.match(stderr, /another|already|in use/i);
        assert.equal((await h.api("/status")).status, 200);
        await h.kill9();
        await h.start();
    });

    test("of a newer version is refused with a clear message and left as it is", async (t) => {
        const { file, args } = await used(t);
        execFileSync("sqlite3", [file, "PRAGMA user_version = 9999"]);
        const before = await sha256(file);
        const { code, stderr } = await runHostpair(args);
        assert.ok(code !== 0 && code !== null && code !== 86, `code ${code}`);
        assert.match(stderr, /newer/);
        assert.equal(await sha256(file), before);
    });

    test("of another program is refused and left as it is", async (t) => {
        const { file, args } = await used(t);
        await rm(file);
        execFileSync("sqlite3", [
            file,
            "PRAGMA application_id = 42; CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)",
        ]);
        const before = await sha256(file);
        const { code, stderr } = await runHostpair(args);
        assert.ok(code !== 0 && code !== null && code !== 86, `code ${code}`);
        assert.ok(stderr.includes("hostpair.db"), stderr);
        assert.equal(await sha256(file), before);
    });

    test("without an application id but with tables is refused and left as it is", async (t) => {
        const { file, args } = await used(t);
        await rm(file);
        execFileSync("sqlite3", [file, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)"]);
        const before = await sha256(file);
        const { code } = await runHostpair(args);
        assert.ok(code !== 0 && code !== null && code !== 86, `code ${code}`);
        assert.equal(await sha256(file), before);
    });

    test("that is no database is kept under another name, and a new one made", async (t) => {
        const { h, file } = await used(t);
        writeFileSync(file, makeBytes(100_000, 3));
        const before = await sha256(file);
        await h.start();
        const kept = readdirSync(h.dataDir).filter((name) => name.startsWith("hostpair.db.damaged-"));
        assert.equal(kept.length, 1, kept.join());
        assert.equal(await sha256(join(h.dataDir, kept[0])), before);
        const { lines } = (await h.api("/log")).json;
        assert.ok(
            lines.some((/** @type {{text: string}} */ line) => line.text.includes(kept[0])),
            JSON.stringify(lines),
        );
    });

    test("that is damaged keeps what can be read of it", async (t) => {
        const { h, file } = await used(t);
        await h.start();
        const { id } = (await h.api("/status")).json;
        await h.api("/settings", { method: "PATCH", json: { running_downloads: 7 } });
        await h.stop();
        const page = Number(
            execFileSync("sqlite3", [
                file,
                "SELECT rootpage FROM sqlite_schema WHERE name = 'host'",
            ]).toString(),
        );
        const bytes = readFileSync(file);
        bytes.fill(0xff, (page - 1) * 4096, page * 4096);
        writeFileSync(file, bytes);
        await h.start();
        assert.equal((await h.api("/status")).json.id, id);
        assert.equal((await h.api("/settings")).json.running_downloads, 7);
        assert.equal(
            readdirSync(h.dataDir).filter((name) => name.startsWith("hostpair.db.damaged-")).length,
            1,
        );
    });

    test("that is deleted while it is used is written anew", async (t) => {
        const { h, id, file } = await used(t);
        await h.start();
        await rm(file);
        await h.api("/settings", { method: "PATCH", json: { running_downloads: 9 } });
        await waitFor(() => existsSync(file), { what: "the database" });
        await h.stop();
        await h.start();
        assert.equal((await h.api("/status")).json.id, id);
        assert.equal((await h.api("/settings")).json.running_downloads, 9);
    });

    test("that is empty is filled", async (t) => {
        const { h, file } = await used(t);
        for (const name of readdirSync(h.dataDir))
            if (name.startsWith("hostpair.db")) await rm(join(h.dataDir, name));
        writeFileSync(file, "");
        await h.start();
        assert.equal((await h.api("/status")).status, 200);
    });
});

test("sqlite3 finds the database whole after use", async (t) => {
    const h = await startHostpair({ t });
    await h.api("/settings", { method: "PATCH", json: { running_downloads: 4 } });
    await h.stop();
    const out = spawnSync(
        "sqlite3",
        [join(h.dataDir, "hostpair.db"), "PRAGMA integrity_check; PRAGMA foreign_key_check"],
        {
            encoding: "utf8",
        },
    );
    assert.equal(out.stdout.trim(), "ok", out.stderr);
});
