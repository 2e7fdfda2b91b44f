// @ts-check
import { rmSync } from "node:fs";
import { join } from "node:path";

import {
    change,
    checkFile,
    downloading,
    emptyFolder,
    folderOf,
    masterFile,
    startReceiver,
    startSource,
} from "../hostpairs.mjs";
import { contest, timed } from "../measure.mjs";
import { cleanEnvironment, fetchers, startLighttpd } from "../peers.mjs";

export const title =
    "download of 2 GiB, bytes in plain; hostpair's is verified and synced to disk, nobody else's is";
export const goal = "at least rclone with 4 streams, 1.3 x curl and wget2, 2 x aria2c";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const size = 2 * 1024 ** 3;
    const file = await masterFile(bench, size);
    const folder = folderOf(bench, "served", { "file.bin": file.path });
    const source = await startSource(folder);
    const server = await startLighttpd(folder, bench.work);
    const { receiver, hosts } = await startReceiver(bench, [source], "file.bin");
    // Bytes in plain, as everybody else's; what they are is proven by the hash tree, which came in TLS.
    for (const h of [source, receiver]) await change(h, { encrypt_content: false });
    const copies = emptyFolder(bench, "copies");
    const copy = join(copies, "file.bin");
    const env = cleanEnvironment(emptyFolder(bench, "home"));
    const figures = await contest(
        [
            downloading(receiver, { host: hosts[0].id, path: "file.bin" }, file, size),
            ...Object.entries(fetchers).map(([name, command]) => ({
                name,
                turn: async () => ({
                    ...(await timed(command(`http://127.0.0.1:${server.port}/file.bin`, copies, "file.bin"), {
                        env,
                    })),
                    bytes: size,
                }),
                check: () => checkFile(copy, file.sha256),
                clean: async () => rmSync(copy, { force: true }),
            })),
        ],
        bench.rounds,
    );
    await server.stop();
    await receiver.dispose();
    await source.dispose();
    const of = (/** @type {string} */ name) => figures.find((f) => f.name.startsWith(name)) ?? figures[0];
    return {
        figures,
        goals: [
            { what: "rclone", against: of("rclone"), times: 1 },
            { what: "curl", against: of("curl"), times: 1.3 },
            { what: "wget2", against: of("wget2"), times: 1.3 },
            { what: "aria2c", against: of("aria2c"), times: 2 },
        ],
    };
}
