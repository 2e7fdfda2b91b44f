// @ts-check
import { rmSync } from "node:fs";
import { join } from "node:path";

import {
    checkFile,
    downloading,
    emptyFolder,
    folderOf,
    masterFile,
    startReceiver,
    startSource,
} from "../hostpairs.mjs";
import { contest, timed } from "../measure.mjs";
import { cleanEnvironment, startNginx } from "../peers.mjs";

export const title = "download of 2 GiB in TLS; hostpair's is verified and synced to disk, curl's is not";
export const goal = "at least 1.5 x curl from nginx";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const size = 2 * 1024 ** 3;
    const file = await masterFile(bench, size);
    const folder = folderOf(bench, "served", { "file.bin": file.path });
    const source = await startSource(folder);
    const server = await startNginx(folder, bench.work, { tls: true });
    const { receiver, hosts } = await startReceiver(bench, [source], "file.bin");
    const copy = join(emptyFolder(bench, "copies"), "file.bin");
    const env = cleanEnvironment(emptyFolder(bench, "home"));
    const figures = await contest(
        [
            downloading(receiver, { host: hosts[0].id, path: "file.bin" }, file, size),
            {
                name: "curl -k from nginx",
                turn: async () => ({
                    ...(await timed(
                        [
                            "curl",
                            "-k",
                            "-sS",
                            "--fail",
                            "-o",
                            copy,
                            `https://127.0.0.1:${server.port}/file.bin`,
                        ],
                        { env },
                    )),
                    bytes: size,
                }),
                check: () => checkFile(copy, file.sha256),
                clean: async () => rmSync(copy, { force: true }),
            },
        ],
        bench.rounds,
    );
    await server.stop();
    await receiver.dispose();
    await source.dispose();
    return {
        figures,
        goals: [{ what: "curl", against: figures[1], times: 1.5 }],
    };
}
