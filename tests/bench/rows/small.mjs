// @ts-check
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { addHost } from "../../e2e/harness.mjs";
import { freshDisk } from "../disk.mjs";
import {
    emptyFolder,
    fetchNow,
    hashOfTree,
    makeMany,
    refresh,
    startBareReceiver,
    startSource,
} from "../hostpairs.mjs";
import { MiB, contest, timed, watch } from "../measure.mjs";
import { cleanEnvironment, startLighttpd } from "../peers.mjs";

export const title = "10,000 files of 4 KiB onto a fresh ext4, durable, listing included";
export const goal = "at least 1.5 x the fastest of wget2 -r, wget -r and curl -Z with 16, each with sync -f";

/** @typedef {import("../measure.mjs").Contestant & { clean: () => Promise<void> }} SmallContestant */

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const count = 10_000;
    const folder = emptyFolder(bench, "many");
    const expected = await makeMany(join(folder, "small"), count, 4096);
    const source = await startSource(folder);
    const server = await startLighttpd(folder, bench.work);
    const env = cleanEnvironment(emptyFolder(bench, "home"));
    const url = `http://127.0.0.1:${server.port}`;
    const names = Array.from({ length: count }, (_, i) => `small/d${Math.floor(i / 100)}/f${i}`);
    const curlList = join(bench.work, "curl.list");
    const ariaList = join(bench.work, "aria2.list");
    writeFileSync(curlList, names.map((n) => `url = "${url}/${n}"\noutput = "${n}"\n`).join(""));
    writeFileSync(ariaList, names.map((n) => `${url}/${n}\n  out=${n}\n`).join(""));
    const recursive = ["-q", "-r", "-np", "-nH", `${url}/small/`, "-P"];
    /** The folder for what they bring is the last word. @type {Record<string, string[]>} */
    const commands = {
        "wget2 -r": ["wget2", ...recursive],
        "wget -r": ["wget", ...recursive],
        "curl -Z, 16": [
            ...["curl", "-sS", "--fail", "-Z", "--parallel-max", "16", "--create-dirs", "-K", curlList],
            "--output-dir",
        ],
        "aria2c -j16": [
            ...["aria2c", "-q", "--no-conf", "-j16", "--async-dns=false", "--enable-dht=false"],
            ...["--file-allocation=none", "-i", ariaList, "-d"],
        ],
    };
    const figures = await contest(
        [
            withHostpair(bench, source, count, expected),
            ...Object.entries(commands).map(([name, command]) =>
                withCommand(bench, name, command, env, count, expected),
            ),
        ],
        bench.rounds,
    );
    await server.stop();
    await source.dispose();
    const fastest = figures.slice(1, 4).reduce((a, b) => (a.seconds < b.seconds ? a : b));
    return { figures, goals: [{ what: fastest.name, against: fastest, times: 1.5 }] };
}

/**
 * From a receiver that has never heard of the source to all files on the disk and on record.
 * @param {import("../hostpairs.mjs").Bench} bench @param {import("../hostpairs.mjs").Hostpair} source
 * @param {number} count @param {string} expected
 * @returns {SmallContestant}
 */
function withHostpair(bench, source, count, expected) {
    /** @type {any} */
    let turn;
    return {
        name: "hostpair",
        turn: async () => {
            const disk = freshDisk(bench.work, 512 * MiB);
            turn = { disk };
            const downloads = join(disk.folder, "received");
            mkdirSync(downloads);
            turn.receiver = await startBareReceiver(downloads);
            turn.taken = await watch(turn.receiver.pid, async () => {
                const start = performance.now();
                const host = await addHost(turn.receiver, source.peerPort);
                await refresh(turn.receiver, host.id, "small/d99/f9999");
                const listed = performance.now();
                turn.done = await fetchNow(turn.receiver, { host: host.id, folder: "small" });
                if (process.env.HP_BENCH_VERBOSE)
                    bench.say(
                        `hostpair: list ${((listed - start) / 1000).toFixed(3)} s, ` +
                            `files ${((performance.now() - listed) / 1000).toFixed(3)} s`,
                    );
            });
            return { ...turn.taken, bytes: count * 4096 };
        },
        check: () => same(join(turn.receiver.downloadsDir, turn.done.path), expected),
        clean: async () => {
            await turn?.receiver?.dispose();
            turn?.disk.dispose();
        },
    };
}

/**
 * @param {import("../hostpairs.mjs").Bench} bench @param {string} name @param {string[]} command
 * @param {Record<string, string>} env @param {number} count @param {string} expected
 * @returns {SmallContestant}
 */
function withCommand(bench, name, command, env, count, expected) {
    /** @type {import("../disk.mjs").Disk | undefined} */
    let disk;
    return {
        name,
        turn: async () => {
            disk = freshDisk(bench.work, 512 * MiB);
            const both = ["sh", "-c", '"$@" && sync -f "$0"', disk.folder, ...command, disk.folder];
            return { ...(await timed(both, { env })), bytes: count * 4096 };
        },
        check: () => same(join(disk?.folder ?? "", "small"), expected),
        clean: async () => disk?.dispose(),
    };
}

/** @param {string} folder @param {string} expected */
async function same(folder, expected) {
    const got = await hashOfTree(folder);
    if (got !== expected) throw new Error(`${folder}: ${got}, expected ${expected}`);
}
