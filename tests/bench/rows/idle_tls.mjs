// @ts-check
import { connect } from "node:tls";

import { folderOf, masterFile, startSource } from "../hostpairs.mjs";
import { memoryOf } from "../measure.mjs";

export const title = "10,000 idle connections in TLS";
export const goal = "all held, at most 40 KB each";

/** One connection that has got a reply. @param {number} port @returns {Promise<import("node:tls").TLSSocket>} */
const open = (port) =>
    new Promise((done, fail) => {
        const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () =>
            socket.write("HEAD /small HTTP/1.1\r\nHost: bench\r\n\r\n"),
        );
        socket.once("data", () => done(socket));
        socket.once("error", fail);
    });

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const count = 10_000;
    const file = await masterFile(bench, 4096);
    const server = await startSource(folderOf(bench, "served", { small: file.path }));
    const before = memoryOf(server.pid);
    const sockets = [];
    for (let i = 0; i < count; i += 50)
        sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => open(server.peerPort)))));
    const each = (memoryOf(server.pid) - before) / count;
    const held = sockets.filter((socket) => !socket.readableEnded && !socket.destroyed).length;
    for (const socket of sockets) socket.destroy();
    await server.dispose();
    return {
        figures: [],
        goals: [
            { what: `${held} of ${count} still open`, ok: held === count },
            { what: `${(each / 1000).toFixed(1)} KB each`, ok: each <= 40_000 },
        ],
    };
}
