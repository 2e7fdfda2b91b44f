// @ts-check
import { rmSync } from "node:fs";
import { join } from "node:path";

import { request, waitFor } from "../../e2e/harness.mjs";
import { ask, change, checkFile, emptyFolder, masterFile, startBareReceiver } from "../hostpairs.mjs";
import { contest, timed, watch } from "../measure.mjs";
import { startNginx } from "../peers.mjs";

export const title =
    "1 GiB given to this host by curl; hostpair's is synced to disk, nginx's (PUT, no TLS) where it is said";
export const goal = "the guest page's way at least 0.7 x nginx with a sync after it";

const LOCALSEND = "127.0.0.1:53317/api/localsend/v2";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const size = 1024 ** 3;
    const file = await masterFile(bench, size, 7);
    const receiver = await startBareReceiver(emptyFolder(bench, "received"), { beacon: true });
    await change(receiver, { receive: "everyone" });
    const put = emptyFolder(bench, "put");
    const nginx = await startNginx(put, bench.work, { puts: true });
    const guests = `http://127.0.0.1:${receiver.peerPort}/hostpair/inbox`;

    /** @param {string[]} args what curl says */
    const curl = async (...args) => (await timed(["curl", "-sSfk", ...args])).output;
    /** @param {string} url @param {object} json */
    const post = async (url, json) => JSON.parse(await curl("--json", JSON.stringify(json), url));

    const byGuest = async () => {
        const files = [{ id: "0", name: "file.bin", size, type: "application/octet-stream" }];
        const { id } = await post(guests, { name: "bench", files });
        await waitFor(async () => (await request(`${guests}/${id}`)).json.state === "receiving", {
            interval: 4,
            what: "the offer to be accepted",
        });
        await curl("-T", file.path, `${guests}/${id}/0`);
    };

    /** @param {"http" | "https"} protocol */
    const byDevice = async (protocol) => {
        const info = { alias: "bench", version: "2.1", fingerprint: "bench", port: 53318, protocol };
        const files = { 0: { id: "0", fileName: "file.bin", size, fileType: "application/octet-stream" } };
        const accepted = await post(`${protocol}://${LOCALSEND}/prepare-upload`, { info, files });
        const query = `sessionId=${accepted.sessionId}&fileId=0&token=${accepted.files[0]}`;
        await curl("-X", "POST", "-T", file.path, `${protocol}://${LOCALSEND}/upload?${query}`);
    };

    /** The path of what came last, once it is whole. */
    const landed = () =>
        waitFor(
            async () => {
                const [one] = (await ask(receiver, "/inbox")).incoming;
                return one?.state === "done" && join(receiver.downloadsDir, one.files[0].path);
            },
            { interval: 4, what: "the file to be whole", detail: () => receiver.stderr().slice(-1000) },
        );

    /** @param {string} name @param {() => Promise<void>} give */
    const hostpair = (name, give) => {
        let path = "";
        return {
            name,
            turn: async () => ({
                ...(await watch(receiver.pid, async () => {
                    await give();
                    path = await landed();
                })),
                bytes: size,
            }),
            check: () => checkFile(path, file.sha256),
            clean: async () => rmSync(path, { force: true }),
        };
    };
    const copy = join(put, "file.bin");
    /** @param {string} name @param {boolean} syncs */
    const byNginx = (name, syncs) => ({
        name,
        turn: async () => ({
            ...(await watch(nginx.pid, async () => {
                await curl("-T", file.path, `http://127.0.0.1:${nginx.port}/file.bin`);
                if (syncs) await timed(["sync", copy]);
            })),
            bytes: size,
        }),
        check: () => checkFile(copy, file.sha256),
        clean: async () => rmSync(copy, { force: true }),
    });
    const figures = await contest(
        [
            hostpair("hostpair, guest page", byGuest),
            hostpair("hostpair, LocalSend", () => byDevice("https")),
            hostpair("hostpair, LocalSend, no TLS", () => byDevice("http")),
            byNginx("nginx, then sync", true),
            byNginx("nginx", false),
        ],
        bench.rounds,
    );
    await nginx.stop();
    await receiver.dispose();
    return { figures, goals: [{ what: figures[3].name, against: figures[3], times: 0.7 }] };
}
