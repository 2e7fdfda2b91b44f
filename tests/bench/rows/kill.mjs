// @ts-check
import { join } from "node:path";

import { download, getDownload, waitFor, waitState } from "../../e2e/harness.mjs";
import {
    ask,
    checkFile,
    folderOf,
    forget,
    masterFile,
    metric,
    startReceiver,
    startSource,
} from "../hostpairs.mjs";
import { MiB, median } from "../measure.mjs";

export const title = "bytes fetched twice after kill -9 in a download of 2 GiB";
export const goal = "at most the chunks in flight and the last 250 ms";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const size = 2 * 1024 ** 3;
    const file = await masterFile(bench, size);
    const source = await startSource(folderOf(bench, "served", { "file.bin": file.path }));
    const { receiver, hosts } = await startReceiver(bench, [source], "file.bin");
    /** @type {number[]} */
    const twice = [];
    let speed = 0;
    let in_flight = 0;
    for (let round = 0; round < bench.rounds; round++) {
        const before = await metric(source, "sent_bytes_total");
        const start = performance.now();
        const { id } = await download(receiver, { host: hosts[0].id, path: "file.bin" });
        const wanted = size * (0.2 + (0.6 * round) / bench.rounds);
        const seen = await waitFor(
            async () => {
                const now = await ask(receiver, `/downloads/${id}`);
                return now.done_bytes >= wanted && now;
            },
            { interval: 1, timeout: 60_000, what: "a part of the download" },
        );
        await receiver.kill9();
        speed = Math.max(speed, seen.done_bytes / ((performance.now() - start) / 1000));
        in_flight = Math.max(in_flight, seen.chunk_size);
        await receiver.start();
        const done = await waitState(receiver, id, "done");
        twice.push((await metric(source, "sent_bytes_total")) - before - size);
        await checkFile(join(receiver.downloadsDir, (await getDownload(receiver, id)).path), file.sha256);
        await forget(receiver, done);
    }
    await receiver.dispose();
    await source.dispose();
    const allowed = 0.25 * speed + 64 * in_flight;
    const mib = (/** @type {number} */ n) => `${(n / MiB).toFixed(0)} MiB`;
    return {
        figures: [],
        goals: [
            {
                what: `median ${mib(median(twice))}, most ${mib(Math.max(...twice))}; 250 ms and 64 chunks are ${mib(allowed)}`,
                ok: Math.max(...twice) <= allowed,
            },
        ],
    };
}
