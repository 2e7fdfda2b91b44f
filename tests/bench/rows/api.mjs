// @ts-check
import { ask, fetchNow, folderOf, forget, masterFile, startReceiver, startSource } from "../hostpairs.mjs";
import { percentile } from "../measure.mjs";
import { sleep } from "../../e2e/harness.mjs";

export const title = "the API's answers while downloading at full speed";
export const goal = "99th percentile under 20 ms";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const file = await masterFile(bench, 2 * 1024 ** 3);
    const source = await startSource(folderOf(bench, "served", { "file.bin": file.path }));
    const { receiver, hosts } = await startReceiver(bench, [source], "file.bin");
    const paths = ["/status", "/downloads", "/hosts", `/hosts/${hosts[0].id}/files`, "/settings", "/log"];
    /** @type {number[]} */
    const times = [];
    for (let round = 0; round < bench.rounds; round++) {
        let busy = true;
        const asking = (async () => {
            for (let i = 0; busy; i++) {
                const start = performance.now();
                await ask(receiver, paths[i % paths.length]);
                times.push(performance.now() - start);
                await sleep(1);
            }
        })();
        const done = await fetchNow(receiver, { host: hosts[0].id, path: "file.bin" }, { interval: 50 });
        busy = false;
        await asking;
        await forget(receiver, done);
    }
    await receiver.dispose();
    await source.dispose();
    const ms = (/** @type {number} */ share) => percentile(times, share).toFixed(1);
    return {
        figures: [],
        goals: [
            {
                what: `${times.length} answers: median ${ms(0.5)} ms, 99th percentile ${ms(0.99)} ms, slowest ${ms(1)} ms`,
                ok: percentile(times, 0.99) < 20,
            },
        ],
    };
}
