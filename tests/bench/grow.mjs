// @ts-check
// The second table: how cost grows with the size and number of files, with clients, sources and recorded chunks.

import { rmSync } from "node:fs";
import { join } from "node:path";

import {
    checkFile,
    emptyFolder,
    fetchNow,
    folderOf,
    forget,
    hashOfTree,
    makeMany,
    masterFile,
    startReceiver,
    startSource,
} from "./hostpairs.mjs";
import { GB, MiB, median, timed, tool, watch } from "./measure.mjs";
import { startWithChunks } from "./rows/start.mjs";

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {number} seconds
 * @property {number} [bytes]
 * @property {number} [cpu]
 * @property {number} [memory]
 */

/** The median turn of a few, after one to warm up. @param {number} rounds @param {() => Promise<import("./measure.mjs").Taken>} turn */
async function several(rounds, turn) {
    const turns = [];
    for (let i = 0; i <= rounds; i++) turns.push(await turn());
    turns.shift();
    const seconds = median(turns.map((t) => t.seconds));
    return { ...(turns.find((t) => t.seconds === seconds) ?? turns[0]), seconds };
}

/** @param {import("./hostpairs.mjs").Bench} bench @returns {Promise<Step[]>} */
async function fileSize(bench) {
    const steps = [];
    for (const size of [1, 16, 256, 1024, 4096, ...(bench.full ? [16384] : [])].map((n) => n * MiB)) {
        const file = await masterFile(bench, size);
        const source = await startSource(folderOf(bench, "served", { "file.bin": file.path }));
        const { receiver, hosts } = await startReceiver(bench, [source], "file.bin");
        const taken = await several(size > 1024 * MiB ? 1 : 3, async () => {
            /** @type {any} */
            let done;
            const turn = await watch(receiver.pid, async () => {
                done = await fetchNow(receiver, { host: hosts[0].id, path: "file.bin" }, { interval: 1 });
            });
            await checkFile(join(receiver.downloadsDir, done.path), file.sha256);
            await forget(receiver, done);
            return turn;
        });
        steps.push({ name: `${size / MiB} MiB`, ...taken, bytes: size });
        await receiver.dispose();
        await source.dispose();
        rmSync(join(bench.work, "served"), { recursive: true });
    }
    return steps;
}

/** @param {import("./hostpairs.mjs").Bench} bench @returns {Promise<Step[]>} */
async function fileCount(bench) {
    const steps = [];
    for (const count of [1, 10, 100, 1000, 10_000, ...(bench.full ? [100_000] : [])]) {
        const folder = emptyFolder(bench, "many");
        const expected = await makeMany(join(folder, "small"), count, 4096);
        const last = `small/d${Math.floor((count - 1) / 100)}/f${count - 1}`;
        const source = await startSource(folder);
        const { receiver, hosts } = await startReceiver(bench, [source], last);
        const taken = await several(count > 1000 ? 1 : 3, async () => {
            /** @type {any} */
            let done;
            const turn = await watch(receiver.pid, async () => {
                done = await fetchNow(receiver, { host: hosts[0].id, folder: "small" }, { interval: 1 });
            });
            const got = await hashOfTree(join(receiver.downloadsDir, done.path));
            if (got !== expected) throw new Error(`${got}, expected ${expected}`);
            await forget(receiver, done);
            return turn;
        });
        steps.push({ name: `${count} files`, ...taken, bytes: count * 4096 });
        await receiver.dispose();
        await source.dispose();
    }
    return steps;
}

/** @param {import("./hostpairs.mjs").Bench} bench @returns {Promise<Step[]>} */
async function clientCount(bench) {
    const file = await masterFile(bench, 64 * MiB);
    const server = await startSource(folderOf(bench, "served", { "file.bin": file.path }));
    const steps = [];
    for (const count of [1, 10, 100, 500]) {
        const each = Math.max(1, Math.round(100 / count));
        const taken = await several(3, async () => {
            /** @type {any} */
            let sunk;
            const turn = await watch(server.pid, async () => {
                const command = [
                    tool("sink"),
                    "get",
                    String(server.peerPort),
                    "/file.bin",
                    String(count),
                    String(each),
                ];
                sunk = JSON.parse((await timed(command)).output);
            });
            return { ...turn, seconds: sunk.seconds, bytes: sunk.bytes };
        });
        steps.push({ name: `${count} clients`, ...taken });
    }
    await server.dispose();
    return steps;
}

/** @param {import("./hostpairs.mjs").Bench} bench @returns {Promise<Step[]>} */
async function sourceCount(bench) {
    const size = 1024 * MiB;
    const file = await masterFile(bench, size);
    // All links are made before anybody hashes: another link changes the time stamp of the file's inode.
    const folders = Array.from({ length: 8 }, (_, i) =>
        folderOf(bench, `served-${i}`, { "file.bin": file.path }),
    );
    /** @type {import("./hostpairs.mjs").Hostpair[]} */
    const sources = [];
    const steps = [];
    for (const count of [1, 2, 4, 8]) {
        while (sources.length < count)
            sources.push(await startSource(folders[sources.length], `source-${sources.length}`));
        const { receiver, hosts } = await startReceiver(bench, sources, "file.bin");
        const taken = await several(3, async () => {
            /** @type {any} */
            let done;
            const turn = await watch(receiver.pid, async () => {
                done = await fetchNow(receiver, { host: hosts[0].id, path: "file.bin" });
            });
            await checkFile(join(receiver.downloadsDir, done.path), file.sha256);
            await forget(receiver, done);
            return turn;
        });
        steps.push({ name: `${count} sources`, ...taken, bytes: size });
        await receiver.dispose();
    }
    for (const source of sources) await source.dispose();
    return steps;
}

/** @param {import("./hostpairs.mjs").Bench} bench @returns {Promise<Step[]>} */
async function chunkCount(bench) {
    const steps = [];
    for (const count of [1, 1000, 100_000, 1_000_000])
        steps.push({ name: `${count} chunks`, seconds: await startWithChunks(bench, count) });
    return steps;
}

/** name, what it is, what is measured */
export const growth = [
    { name: "size", title: "download of one file", run: fileSize },
    { name: "count", title: "download of a folder of 4 KiB files", run: fileCount },
    { name: "clients", title: "serving 64 MiB to clients at once", run: clientCount },
    { name: "sources", title: "download of 1 GiB from several sources", run: sourceCount },
    { name: "chunks", title: "start with recorded chunks", run: chunkCount },
];

/** @param {{ title: string, steps: Step[] }[]} tables */
export function printGrowth(tables) {
    for (const { title, steps } of tables) {
        console.log(`\n${title}`);
        console.log(
            `  ${"".padEnd(16)} ${"s".padStart(9)} ${"GB/s".padStart(7)} ${"CPU s/GB".padStart(9)} ${"peak MiB".padStart(9)}`,
        );
        for (const { name, seconds, bytes, cpu, memory } of steps) {
            const speed = bytes ? (bytes / GB / seconds).toFixed(2) : "";
            const cost = bytes && cpu !== undefined ? ((cpu / bytes) * GB).toFixed(2) : "";
            const peak = memory !== undefined ? (memory / MiB).toFixed(1) : "";
            console.log(
                `  ${name.padEnd(16)} ${seconds.toFixed(3).padStart(9)} ${speed.padStart(7)} ${cost.padStart(9)} ${peak.padStart(9)}`,
            );
        }
    }
}
