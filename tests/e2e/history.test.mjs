// @ts-check
// Many downloads that ended long ago: they cost nothing at start, and are there when somebody asks.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

import { addHost, download, makeFile, startHostpair, waitState } from "./harness.mjs";

const COUNT = 20_000;

test(
    "finished downloads are listed in pages, and can be asked for by id",
    { timeout: 180_000 },
    async (t) => {
        const a = await startHostpair({ t, name: "a" });
        await makeFile(join(a.shareDir, "new.bin"), 1000, 1);
        const b = await startHostpair({ t, name: "b" });
        await b.stop();
        // Every tenth failed. Its one file is a row, as hostpair writes it.
        const sql = `
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${COUNT})
        INSERT INTO download (id, base, path, folder, order_url, state, reason, error_code, error_detail, disk_wait,
            priority, limit_bps, created_at, finished_at)
        SELECT i, '${b.downloadsDir}', 'old' || i, 0, 'http://127.0.0.1:1/old' || i,
            CASE WHEN i % 10 = 0 THEN 'failed' ELSE 'done' END, '', 0, '', 0, 0, 0, i, i FROM n;
        INSERT INTO download_file (download, path, source_path, state, error, size, chunk_size, chunks_done, verified)
        SELECT id, path, '', CASE state WHEN 'done' THEN 'done' ELSE 'failed' END, '', 0, 0, 0, state = 'done'
        FROM download;`;
        execFileSync("sqlite3", [join(b.dataDir, "hostpair.db")], { input: sql });
        await b.restart();

        const host = await addHost(b, a.peerPort);
        const { id } = await download(b, { host: host.id, path: "new.bin" });
        await waitState(b, id, "done");

        // Page by page, every one once, newest first.
        /** @type {number[]} */
        const ids = [];
        for (let before = 0; ;) {
            const page = await b.api(`/downloads?limit=700${before > 0 ? `&before=${before}` : ""}`);
            assert.equal(page.status, 200);
            const part = page.json.downloads.map((/** @type {any} */ d) => d.id);
            assert.ok(part.length <= 700);
            ids.push(...part);
            if (part.length < 700) break;
            before = part.at(-1);
        }
        const all = [id, ...Array.from({ length: COUNT }, (_, i) => COUNT - i)];
        assert.deepEqual(ids, all);

        // As it was: the whole list in one answer.
        const whole = await b.api("/downloads");
        assert.deepEqual(
            whole.json.downloads.map((/** @type {any} */ d) => d.id),
            all,
        );
        assert.deepEqual(
            whole.json.downloads.slice(0, 3).map((/** @type {any} */ d) => [d.name, d.state, d.verified]),
            [
                ["new.bin", "done", true],
                ["old20000", "failed", false],
                ["old19999", "done", true],
            ],
        );

        const failed = await b.api("/downloads?state=failed&limit=3&before=100");
        assert.deepEqual(
            failed.json.downloads.map((/** @type {any} */ d) => d.id),
            [90, 80, 70],
        );
        const running = await b.api("/downloads?state=running");
        assert.deepEqual(running.json.downloads, []);
        assert.equal((await b.api("/downloads?state=odd")).status, 422);
        assert.equal((await b.api("/downloads?limit=x")).status, 422);

        // By id, whatever is asked.
        assert.equal((await b.api("/downloads/17")).json.name, "old17");
        assert.deepEqual((await b.api("/downloads/18/chunks")).json.runs, []);
        assert.equal((await b.api("/downloads/19/sources")).status, 200);
        assert.equal((await b.api("/downloads/21/content")).status, 404, "nobody ever wrote that file");
        assert.equal((await b.api("/downloads/30/retry", { method: "POST" })).status, 202);
        await waitState(b, 30, ["running", "queued"]);
        assert.equal((await b.api("/downloads/16?data=keep", { method: "DELETE" })).status, 204);
        assert.equal((await b.api("/downloads/16")).status, 404);
        assert.equal((await b.api("/downloads/99999999")).status, 404);

        const metrics = await b.api("/metrics");
        assert.match(metrics.text, new RegExp(`downloads\\{state="done"\\} ${COUNT * 0.9 + 1 - 1}\\n`));
        assert.match(metrics.text, new RegExp(`downloads\\{state="failed"\\} ${COUNT / 10 - 1}\\n`));

        const cleared = await b.api("/downloads?state=finished", { method: "DELETE" });
        assert.deepEqual(cleared.json, { removed: COUNT * 0.9 });
        const left = await b.api("/downloads?limit=5");
        assert.deepEqual(
            left.json.downloads.map((/** @type {any} */ d) => d.state),
            Array(5).fill("failed"),
        );
    },
);
