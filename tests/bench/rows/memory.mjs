// @ts-check
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
    emptyFolder,
    fetchNow,
    folderOf,
    forget,
    masterFile,
    startReceiver,
    startSource,
} from "../hostpairs.mjs";
import { MiB, figure, timed, tool, watch } from "../measure.mjs";

export const title = "memory while downloading 10 GiB, and while serving 100 clients";
export const goal = "64 MiB at most";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const size = 10 * 1024 ** 3;
    const big = emptyFolder(bench, "big");
    writeFileSync(join(big, "zeros.bin"), "");
    truncateSync(join(big, "zeros.bin"), size);
    const source = await startSource(big);
    const { receiver, hosts } = await startReceiver(bench, [source], "zeros.bin");
    /** @type {any} */
    let done;
    const downloading = await watch(receiver.pid, async () => {
        done = await fetchNow(receiver, { host: hosts[0].id, path: "zeros.bin" }, { interval: 50 });
    });
    await forget(receiver, done);
    await receiver.dispose();
    await source.dispose();

    const file = await masterFile(bench, 64 * MiB);
    const server = await startSource(folderOf(bench, "served", { "file.bin": file.path }));
    /** @type {any} */
    let sunk;
    const serving = await watch(server.pid, async () => {
        sunk = JSON.parse(
            (await timed([tool("sink"), "get", String(server.peerPort), "/file.bin", "100", "4"])).output,
        );
    });
    await server.dispose();
    const limit = 64 * MiB;
    return {
        figures: [
            figure("hostpair, downloading", [{ ...downloading, bytes: size }]),
            figure("hostpair, serving 100 clients", [{ ...serving, bytes: sunk.bytes }]),
        ],
        goals: [
            {
                what: `downloading: ${((downloading.memory ?? 0) / MiB).toFixed(1)} MiB`,
                ok: (downloading.memory ?? 0) <= limit,
            },
            {
                what: `serving: ${((serving.memory ?? 0) / MiB).toFixed(1)} MiB`,
                ok: (serving.memory ?? 0) <= limit,
            },
        ],
    };
}
