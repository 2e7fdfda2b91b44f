// @ts-check
// Limits on connections, between addresses that are not loopback: in a network namespace of its own, which only root can make.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { startHostpair, waitFor } from "./harness.mjs";
import { Raw, ask } from "./protocol.mjs";

const PER_ADDRESS = 1000;
const inside = process.env.HP_E2E_NAMESPACE === "1";
const noNamespace =
    spawnSync("unshare", ["-n", "ip", "link", "set", "lo", "up"]).status === 0
        ? false
        : "no network namespace can be made here (needs root, unshare and ip)";

if (!inside)
    test("in a network namespace", { skip: noNamespace }, async () => {
        const setUp = ["ip link set lo up"];
        for (const address of ["10.9.9.1/32", "10.9.9.2/32", "fd99::1/128"])
            setUp.push(`ip addr add ${address} dev lo nodad`);
        const script = `${setUp.join(" && ").replaceAll("/32 dev lo nodad", "/32 dev lo")} && exec "$0" --test-reporter=tap "$1"`;
        const child = spawn(
            "unshare",
            ["-n", "sh", "-c", script, process.execPath, fileURLToPath(import.meta.url)],
            {
                env: { ...process.env, HP_E2E_NAMESPACE: "1", NODE_TEST_CONTEXT: undefined },
                stdio: ["ignore", "pipe", "inherit"],
            },
        );
        let output = "";
        child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
        const code = await new Promise((done) => child.on("close", done));
        assert.equal(code, 0, output);
        assert.match(output, /^# pass 3$/m, output);
    });

if (inside) {
    /** @param {string} host @param {number} port @param {string} from @returns {Promise<net.Socket>} */
    const open = (host, port, from) =>
        new Promise((done, fail) => {
            const socket = net.connect({ port, host, localAddress: from });
            socket.once("connect", () => done(socket)).once("error", fail);
        });

    /** Whether the server answers on it; false when it was refused. @param {net.Socket} socket */
    const answers = (socket) =>
        new Promise((done) => {
            socket.once("data", (data) => done(data.toString("latin1").startsWith("HTTP/1.1 200 ")));
            socket.once("close", () => done(false));
            socket.on("error", () => done(false));
            socket.write(ask("/hostpair"));
        });

    test("one address at its limit costs no other its service", async (t) => {
        const h = await startHostpair({ t, args: ["--peer-listen", "[::]:0"] });
        writeFileSync(join(h.shareDir, "f"), "content");
        const mine = [];
        for (let i = 0; i < PER_ADDRESS; i++) mine.push(await open("10.9.9.1", h.peerPort, "10.9.9.1"));
        assert.equal(await answers(mine[0]), true);
        assert.equal(await answers(mine[PER_ADDRESS - 1]), true);
        const late = await open("10.9.9.1", h.peerPort, "10.9.9.1");
        assert.equal(await answers(late), false, "one too many is refused");
        assert.equal(await answers(await open("10.9.9.1", h.peerPort, "10.9.9.2")), true, "another address");
        assert.equal(await answers(await open("::1", h.peerPort, "::1")), true, "loopback");
        assert.equal(await answers(await open("fd99::1", h.peerPort, "fd99::1")), true, "the other family");
        mine[5].destroy();
        await waitFor(async () => answers(await open("10.9.9.1", h.peerPort, "10.9.9.1")), {
            what: "room after one of them has left",
        });
        assert.match(h.stderr(), /peer: refused a connection from 10\.9\.9\.1: that address has as many/);
        for (const socket of mine) socket.destroy();
    });

    test("where descriptors are few, one address leaves room for another", async (t) => {
        const h = await startHostpair({
            t,
            args: ["--peer-listen", "[::]:0"],
            wrap: ["prlimit", "--nofile=400"],
        });
        writeFileSync(join(h.shareDir, "f"), "content");
        writeFileSync(join(h.shareDir, "large"), "");
        truncateSync(join(h.shareDir, "large"), 1 << 30);
        const greedy = [];
        for (let i = 0; i < 150; i++) {
            const socket = await open("10.9.9.1", h.peerPort, "10.9.9.1");
            const heard = new Promise((done) => socket.once("readable", done).once("close", done));
            socket.on("error", () => {});
            socket.write(ask("/large")); // and takes next to nothing of it
            greedy.push({ socket, heard });
        }
        await Promise.all(greedy.map(({ heard }) => heard));
        assert.equal(await answers(await open("10.9.9.1", h.peerPort, "10.9.9.2")), true, "another address");
        for (const { socket } of greedy) socket.destroy();
    });

    test("idle connections make room when the descriptors are few", async (t) => {
        const h = await startHostpair({ t, wrap: ["prlimit", "--nofile=400"] });
        writeFileSync(join(h.shareDir, "f"), "content");
        const idle = [];
        let ended = 0;
        for (let i = 0; i < 500; i++) {
            const socket = net.connect({ port: h.peerPort, host: "127.0.0.1" });
            socket.on("close", () => ended++).on("error", () => {});
            socket.resume();
            idle.push(socket);
        }
        for (let i = 0; i < 20; i++) {
            const c = new Raw(h.peerPort);
            c.send(ask("/f"));
            assert.equal((await c.reply()).text, "content");
            c.close();
        }
        await waitFor(() => ended > 250, { what: "the longest idle ones to end" });
        for (const socket of idle) socket.destroy();
    });
}
