// @ts-check
import { execFileSync } from "node:child_process";
import { mkdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { startHostpair, waitFor } from "../../e2e/harness.mjs";
import { ask, emptyFolder } from "../hostpairs.mjs";

export const title = "start with 1,000,000 recorded chunks, and with 1,000,000 shared files";
export const goal = "downloading or answering within 1 s";

const CHUNKS_A_FILE = 62_500;
const CHUNK = 1024 * 1024;

/** @param {string} database @param {string} sql */
export const sqlite = (database, sql) =>
    execFileSync("sqlite3", ["-bail", database], { input: sql, maxBuffer: 1 << 24 }).toString();

/** Starts hostpair once on these folders, so that its database is there. @param {Record<string, string>} folders */
async function makeDatabase(folders) {
    const first = await startHostpair(folders);
    await first.dispose();
    return join(folders.data, "hostpair.db");
}

/**
 * Unfinished downloads from a host that is not there, with so many chunks on record.
 * @param {import("../hostpairs.mjs").Bench} bench @param {number} chunks
 */
export async function startWithChunks(bench, chunks) {
    const base = emptyFolder(bench, "start");
    const folders = {
        data: join(base, "data"),
        share: join(base, "share"),
        downloads: join(base, "downloads"),
    };
    for (const folder of Object.values(folders)) mkdirSync(folder);
    const database = await makeDatabase(folders);
    const boot = execFileSync("cat", ["/proc/sys/kernel/random/boot_id"]).toString().trim();
    const sql = ["BEGIN;"];
    for (let i = 0, left = chunks; left > 0; i++, left -= CHUNKS_A_FILE) {
        const count = Math.min(left, CHUNKS_A_FILE);
        const size = (count + 1) * CHUNK;
        const part = `.big-${i}.${i + 1}.hostpair-part`;
        writeFileSync(join(folders.downloads, part), "");
        truncateSync(join(folders.downloads, part), size);
        const { dev, ino } = statSync(join(folders.downloads, part));
        const host = "addr-127.0.0.1-1";
        sql.push(
            `INSERT INTO download VALUES (${i + 1}, '${folders.downloads}', 'big-${i}', 0, '${host}', 'big-${i}', NULL, NULL,
                 'queued', '', 0, '', 0, 0, 0, 1, 0);`,
            `INSERT INTO download_file (id, download, path, source_path, state, error, size, root, chunk_size, chunks_done, verified,
                 part, device, inode, boot_id) VALUES (${i + 1}, ${i + 1}, 'big-${i}', 'big-${i}', 'open', '', ${size}, NULL, ${CHUNK},
                 0, 0, '${part}', ${dev}, ${ino}, '${boot}');`,
            `INSERT INTO download_source (id, file, host, path, etag) VALUES (${i + 1}, ${i + 1}, '${host}', 'big-${i}', '"v"');`,
            `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${count})
                 INSERT INTO chunk SELECT ${i + 1}, i, randomblob(32), ${i + 1}, 1 FROM n;`,
        );
    }
    sql.push("COMMIT;");
    sqlite(database, sql.join("\n"));
    const start = performance.now();
    const h = await startHostpair(folders);
    const known = async () =>
        (await ask(h, "/downloads")).downloads.reduce(
            (/** @type {number} */ sum, /** @type {any} */ d) => sum + d.chunks_done,
            0,
        ) === chunks;
    await waitFor(known, { interval: 2, timeout: 60_000, what: "all recorded chunks to be known" });
    const seconds = (performance.now() - start) / 1000;
    await h.dispose();
    return seconds;
}

/** @param {import("../hostpairs.mjs").Bench} bench @param {number} files */
async function startWithFiles(bench, files) {
    const base = emptyFolder(bench, "start");
    const folders = {
        data: join(base, "data"),
        share: join(base, "share"),
        downloads: join(base, "downloads"),
    };
    for (const folder of Object.values(folders)) mkdirSync(folder);
    const database = await makeDatabase(folders);
    sqlite(
        database,
        `BEGIN;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${files})
             INSERT INTO shared_file (path, device, inode, size, mtime_ns, ctime_ns, root)
             SELECT printf('d%d/f%d', i / 1000, i), 1, i, 4096, 1, 1, randomblob(32) FROM n;
         UPDATE share SET complete = 1, revision = revision + 1, files = ${files}, bytes = ${files} * 4096, hashed_bytes = ${files} * 4096;
         COMMIT;`,
    );
    const start = performance.now();
    const h = await startHostpair(folders);
    const reply = await h.peer("/hostpair", { headers: { accept: "application/json" } });
    const seconds = (performance.now() - start) / 1000;
    await h.dispose();
    if (reply.json.files !== files)
        throw new Error(`${reply.json.files} files are shared after the start, expected ${files}`);
    return seconds;
}

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const chunks = await startWithChunks(bench, 1_000_000);
    const files = await startWithFiles(bench, 1_000_000);
    return {
        figures: [],
        goals: [
            {
                what: `1,000,000 chunks: ${chunks.toFixed(2)} s until the downloads are listed`,
                ok: chunks <= 1,
            },
            {
                what: `1,000,000 files: ${files.toFixed(2)} s until it answers with their number`,
                ok: files <= 1,
            },
        ],
    };
}
