// @ts-check
// A line between two hosts that is slow, stalls and breaks, and looks at nothing: many rounds go through it, and what a link
// (link.mjs) knows of each request would be more work than the hosts have.

import net from "node:net";

/** @typedef {Awaited<ReturnType<typeof startWire>>} Wire */

/**
 * @param {object} options
 * @param {import("./harness.mjs").TestContext} options.t close when this test ends
 * @param {number} options.to port on 127.0.0.1 that it leads to
 * @param {number} options.rate bytes a second towards the client, over all connections
 */
export async function startWire({ t, to, rate }) {
    /** @type {Set<net.Socket>} */
    const sockets = new Set();
    /** @type {Set<() => void>} */
    const waiting = new Set();
    let down = false;
    let stalled = false;
    let free = 0;

    const breakAll = () => sockets.forEach((socket) => socket.destroy());
    function go() {
        stalled = false;
        waiting.forEach((resume) => resume());
        waiting.clear();
    }

    /** @param {net.Socket} client */
    function join(client) {
        if (down) return void client.destroy();
        const upstream = net.connect({ port: to, host: "127.0.0.1", allowHalfOpen: true });
        for (const [one, other] of [
            [client, upstream],
            [upstream, client],
        ]) {
            sockets.add(one);
            one.setNoDelay(true);
            one.on("error", () => other.destroy());
            one.on("end", () => other.end());
            one.on("close", () => {
                sockets.delete(one);
                other.destroy();
            });
            one.on("data", (part) => {
                let holds = 1;
                const resume = () => --holds === 0 && one.resume();
                const hold = () => (holds++, resume);
                one.pause();
                if (!other.write(part)) other.once("drain", hold());
                if (stalled) waiting.add(hold());
                if (one === upstream) {
                    const now = performance.now();
                    free = Math.max(free, now - 20) + (part.length * 1000) / rate;
                    if (free > now + 2) setTimeout(hold(), free - now);
                }
                resume();
            });
        }
    }

    const server = net.createServer({ allowHalfOpen: true }, join);
    await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
    const address = server.address();
    t.after(async () => {
        go();
        breakAll();
        await new Promise((done) => server.close(done));
    });
    return {
        port: address && typeof address === "object" ? address.port : 0,
        breakAll,
        /** Hands nothing on, and breaks nothing. */
        stall: () => void (stalled = true),
        go,
        /** Refuses new connections and breaks those there are. */
        goDown() {
            down = true;
            breakAll();
        },
        comeUp: () => void (down = false),
    };
}
