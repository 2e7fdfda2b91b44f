// @ts-check
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import {
    emptyFolder,
    fetchNow,
    forgetOnly,
    hashOfTree,
    makeMany,
    refresh,
    startReceiver,
    startSource,
} from "../hostpairs.mjs";
import { contest, timed, watch } from "../measure.mjs";
import { cleanEnvironment, startLighttpd } from "../peers.mjs";

export const title = "10,000 files of 4 KiB, listing included";
export const goal = "at least 1.5 x the fastest of wget2 -r, wget -r and curl -Z with 16";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const count = 10_000;
    const folder = emptyFolder(bench, "many");
    const expected = await makeMany(join(folder, "small"), count, 4096);
    const source = await startSource(folder);
    const server = await startLighttpd(folder, bench.work);
    const { receiver, hosts } = await startReceiver(bench, [source], "small/d99/f9999");
    const copies = emptyFolder(bench, "copies");
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
    /** @type {any} */
    let done;
    let turns = 0;
    // Every turn has a folder of its own, and all are removed at the end: ext4 is slow to make files for minutes after many
    // were removed, because it does not use their inodes again at once.
    const figures = await contest(
        [
            {
                name: "hostpair",
                turn: async () => ({
                    ...(await watch(receiver.pid, async () => {
                        await refresh(receiver, hosts[0].id, "small/d99/f9999");
                        done = await fetchNow(receiver, { host: hosts[0].id, folder: "small" });
                    })),
                    bytes: count * 4096,
                }),
                check: () => same(join(receiver.downloadsDir, done.path), expected),
                clean: async () => void (await forgetOnly(receiver, done)),
            },
            ...Object.entries(commands).map(([name, command]) => ({
                name,
                turn: async () => {
                    const taken = await timed([...command, join(copies, `${++turns}`)], { env });
                    return { ...taken, bytes: count * 4096 };
                },
                check: () => same(join(copies, `${turns}`, "small"), expected),
            })),
        ],
        bench.rounds,
    );
    await server.stop();
    await receiver.dispose();
    await source.dispose();
    emptyFolder(bench, "copies");
    emptyFolder(bench, "received");
    const fastest = figures.slice(1, 4).reduce((a, b) => (a.seconds < b.seconds ? a : b));
    return { figures, goals: [{ what: fastest.name, against: fastest, times: 1.5 }] };
}

/** @param {string} folder @param {string} expected */
async function same(folder, expected) {
    const got = await hashOfTree(folder);
    if (got !== expected) throw new Error(`${folder}: ${got}, expected ${expected}`);
}
