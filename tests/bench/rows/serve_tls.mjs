// @ts-check
import { folderOf, masterFile, startSource } from "../hostpairs.mjs";
import { contest, timed, watch } from "../measure.mjs";
import { startNginx } from "../peers.mjs";

export const title = "serving one file of 2 GiB in TLS to curl, which throws it away";
export const goal = "at least 0.9 x nginx";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const size = 2 * 1024 ** 3;
    const file = await masterFile(bench, size);
    const folder = folderOf(bench, "served", { "file.bin": file.path });
    const hostpair = await startSource(folder);
    const nginx = await startNginx(folder, bench.work, { tls: true });
    const servers = [{ name: "hostpair", port: hostpair.peerPort, pid: hostpair.pid }, nginx];
    const figures = await contest(
        servers.map(({ name, port, pid }) => ({
            name,
            turn: async () => {
                const taken = await watch(pid, () =>
                    timed([
                        "curl",
                        "-k",
                        "-sS",
                        "--fail",
                        "-o",
                        "/dev/null",
                        `https://127.0.0.1:${port}/file.bin`,
                    ]),
                );
                return { ...taken, bytes: size };
            },
        })),
        bench.rounds,
    );
    await nginx.stop();
    await hostpair.dispose();
    return {
        figures,
        goals: [{ what: "nginx", against: figures[1], times: 0.9 }],
    };
}
