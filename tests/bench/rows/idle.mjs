// @ts-check
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { folderOf, masterFile, startSource } from "../hostpairs.mjs";
import { memoryOf, tool } from "../measure.mjs";

export const title = "10,000 idle keep-alive connections";
export const goal = "all held, at most 10 KB each";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const count = 10_000;
    const file = await masterFile(bench, 4096);
    const server = await startSource(folderOf(bench, "served", { small: file.path }));
    const before = memoryOf(server.pid);
    const sink = spawn(tool("sink"), ["hold", String(server.peerPort), "/small", String(count)], {
        stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: sink.stdout })[Symbol.asyncIterator]();
    const held = JSON.parse((await lines.next()).value ?? '{"held":0}').held;
    const each = (memoryOf(server.pid) - before) / count;
    sink.stdin.end();
    const { open } = JSON.parse((await lines.next()).value ?? '{"open":0}');
    await server.dispose();
    return {
        figures: [],
        goals: [
            { what: `${open} of ${held} still open`, ok: open === count },
            { what: `${(each / 1000).toFixed(1)} KB each`, ok: each <= 10_000 },
        ],
    };
}
