// @ts-check
import { checkFile, folderOf, masterFile, startSource } from "../hostpairs.mjs";
import { GB, contest, timed, tool, watch } from "../measure.mjs";
import { startCaddy, startLighttpd, startNginx } from "../peers.mjs";
import { join } from "node:path";
import { rmSync } from "node:fs";

export const title = "serving one file of 2 GiB to a null sink";
export const goal = "at least the best of nginx, lighttpd and caddy, in speed and in CPU";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const size = 2 * 1024 ** 3;
    const file = await masterFile(bench, size);
    const folder = folderOf(bench, "served", { "file.bin": file.path });
    const hostpair = await startSource(folder);
    const others = [
        await startLighttpd(folder, bench.work),
        await startNginx(folder, bench.work),
        await startCaddy(folder, bench.work),
    ];
    const servers = [{ name: "hostpair", port: hostpair.peerPort, pid: hostpair.pid }, ...others];
    const copy = join(bench.work, "copy");
    for (const { port } of servers) {
        await timed(["curl", "-sS", "--fail", "-o", copy, `http://127.0.0.1:${port}/file.bin`]);
        await checkFile(copy, file.sha256);
        rmSync(copy);
    }
    const figures = await contest(
        servers.map(({ name, port, pid }) => ({
            name,
            turn: async () => {
                /** @type {any} */
                let sunk;
                const taken = await watch(pid, async () => {
                    sunk = JSON.parse(
                        (await timed([tool("sink"), "get", String(port), "/file.bin", "1", "1"])).output,
                    );
                });
                return { ...taken, seconds: sunk.seconds, bytes: sunk.bytes };
            },
        })),
        bench.rounds,
    );
    for (const server of others) await server.stop();
    await hostpair.dispose();
    const [own, ...rest] = figures;
    const fastest = rest.reduce((a, b) => (a.seconds < b.seconds ? a : b));
    const thriftiest = rest.reduce((a, b) => ((a.cpu ?? 0) < (b.cpu ?? 0) ? a : b));
    const perGB = (/** @type {import("../measure.mjs").Figure} */ f) => ((f.cpu ?? 0) / size) * GB;
    return {
        figures,
        goals: [
            { what: `speed of ${fastest.name}`, against: fastest, times: 1 },
            {
                what: `CPU of ${thriftiest.name}: ${perGB(own).toFixed(3)} against ${perGB(thriftiest).toFixed(3)} s/GB`,
                ok: perGB(own) <= perGB(thriftiest),
            },
        ],
    };
}
