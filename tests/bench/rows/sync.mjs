// @ts-check
import { existsSync, linkSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

import { sleep, waitFor } from "../../e2e/harness.mjs";
import {
    ask,
    checkFile,
    emptyFolder,
    fetchNow,
    folderOf,
    forget,
    masterFile,
    refresh,
    startReceiver,
    startSource,
    waitHashed,
} from "../hostpairs.mjs";
import { contest, cpuOf, peakOf, resetPeak } from "../measure.mjs";
import { startSyncthings } from "../peers.mjs";

export const title = "1 GiB from being put into the shared folder to a verified copy on the other host";
export const goal = "at least 3 x Syncthing";

/**
 * Times the two processes of one side each together.
 * @param {number[]} pids @param {() => Promise<unknown>} work
 */
async function watchBoth(pids, work) {
    for (const pid of pids) resetPeak(pid);
    const before = pids.map(cpuOf);
    const start = performance.now();
    await work();
    const seconds = (performance.now() - start) / 1000;
    const cpu = pids.reduce((sum, pid, i) => sum + cpuOf(pid) - before[i], 0);
    return { seconds, cpu, memory: Math.max(...pids.map(peakOf)) };
}

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const size = 1024 ** 3;
    const rounds = bench.rounds;
    /** @type {{ path: string, sha256: string }[]} */
    const masters = [];
    // Another content each round: neither side may recognise the one it had before.
    for (let i = 0; i <= rounds; i++) masters.push(await masterFile(bench, size, 100 + i));
    const small = await masterFile(bench, 4096, 1);
    const share = folderOf(bench, "share", { small: small.path });
    const source = await startSource(share);
    const { receiver, hosts } = await startReceiver(bench, [source], "small");
    const { a, b, stop } = await startSyncthings(emptyFolder(bench, "syncthing"));
    let round = { hostpair: 0, syncthing: 0 };
    /** @type {any} */
    let done;
    const figures = await contest(
        [
            {
                name: "hostpair",
                turn: async () => {
                    const name = `file-${round.hostpair}`;
                    linkSync(masters[round.hostpair].path, join(bench.work, "link"));
                    const taken = await watchBoth([source.pid, receiver.pid], async () => {
                        renameSync(join(bench.work, "link"), join(share, name));
                        await waitHashed(source, 2);
                        await refresh(receiver, hosts[0].id, name);
                        done = await fetchNow(receiver, { host: hosts[0].id, path: name });
                    });
                    return { ...taken, bytes: size };
                },
                check: () =>
                    checkFile(join(receiver.downloadsDir, done.path), masters[round.hostpair].sha256),
                clean: async () => {
                    rmSync(join(share, `file-${round.hostpair++}`), { force: true });
                    await waitFor(async () => (await ask(source, "/status")).share.files === 1);
                    await forget(receiver, done);
                },
            },
            {
                name: "Syncthing",
                turn: async () => {
                    const name = `file-${round.syncthing}`;
                    const target = join(b.folder, name);
                    linkSync(masters[round.syncthing].path, join(bench.work, "link"));
                    const taken = await watchBoth([a.pid, b.pid], async () => {
                        renameSync(join(bench.work, "link"), join(a.folder, name));
                        await a.call("/rest/db/scan?folder=bench", "POST");
                        await waitFor(() => existsSync(target) && statSync(target).size === size, {
                            timeout: 120_000,
                            interval: 4,
                            what: "Syncthing to finish",
                        });
                    });
                    return { ...taken, bytes: size };
                },
                check: () =>
                    checkFile(join(b.folder, `file-${round.syncthing}`), masters[round.syncthing].sha256),
                clean: async () => {
                    const name = `file-${round.syncthing++}`;
                    rmSync(join(a.folder, name), { force: true });
                    await a.call("/rest/db/scan?folder=bench", "POST");
                    for (let i = 0; i < 100 && existsSync(join(b.folder, name)); i++) await sleep(100);
                },
            },
        ],
        rounds,
    );
    await stop();
    await receiver.dispose();
    await source.dispose();
    for (const { path } of masters) rmSync(path);
    return { figures, goals: [{ what: "Syncthing", against: figures[1], times: 3 }] };
}
