// @ts-check
// HTTP at the peer port, over a raw socket: methods, bodies, old clients, pipelines, what comes in bytes or is no HTTP.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";

import { Raw, ask, fetchRaw } from "./protocol.mjs";
import { startServing } from "./served.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

describe("the peer protocol", () => {
    /** @type {Hostpair} */
    let h;
    /** @type {number} */
    let port;

    before(async () => {
        ({ h, port } = await startServing());
    });
    after(() => h?.dispose());

    describe("everything else", () => {
        test("is refused by method with Allow, whatever the path", async () => {
            const files = ["/", "/plain.txt", "/files/plain.txt", "/missing"];
            const calls = ["/hostpair", "/list"];
            const methods = ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get"];
            for (const target of [...files, ...calls])
                for (const method of calls.includes(target) ? [...methods, "OPTIONS", "PROPFIND"] : methods) {
                    const reply = await fetchRaw(port, target, { method });
                    assert.equal(reply.status, 405, `${method} ${target}`);
                    assert.equal(
                        reply.headers.allow,
                        files.includes(target) ? "GET, HEAD, OPTIONS, PROPFIND" : "GET, HEAD",
                    );
                }
        });

        test("knows no route of the dashboard", async () => {
            for (const target of [
                "/api/v1/status",
                "/api/v1/hosts",
                "/metrics",
                "/api/v1/openapi.yaml",
                "/index.html",
            ])
                assert.equal((await fetchRaw(port, target)).status, 404, target);
        });

        test("takes a body along with a GET and stays in step", async () => {
            const c = new Raw(port);
            c.send(`${ask("/plain.txt", { headers: { "Content-Length": "5" } })}GET /${ask("/plain.txt")}`);
            assert.equal((await c.reply()).text, "plain");
            assert.equal((await c.reply()).text, "plain");
            c.send(ask("/plain.txt", { headers: { "Content-Length": "40000" } }));
            assert.equal((await c.reply()).status, 413);
            c.close();
        });

        test("answers an old client without chunks and ends when asked", async () => {
            for (const target of ["/plain.txt", "/list", "/", "/hostpair"]) {
                const c = new Raw(port);
                c.send(`GET ${target} HTTP/1.0\r\n\r\n`);
                const reply = await c.reply();
                assert.equal(reply.status, 200);
                assert.equal(reply.headers["transfer-encoding"], undefined);
                assert.equal(reply.headers.connection, "close");
                assert.equal(await c.end(), undefined);
            }
            const kept = new Raw(port);
            const text = "GET /plain.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
            kept.send(text + text);
            assert.equal((await kept.reply()).headers.connection, "keep-alive");
            assert.equal((await kept.reply()).text, "plain");
            kept.close();
            const closing = new Raw(port);
            closing.send(ask("/plain.txt", { headers: { Connection: "close" } }));
            assert.equal((await closing.reply()).headers.connection, "close");
            assert.equal(await closing.end(), undefined);
        });

        test("refuses what is no HTTP and closes", async () => {
            const cases = [
                "hello\r\n\r\n",
                "GET /\r\n\r\n",
                "GET / HTTP/1.1\r\n\r\n",
                "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
            ];
            cases.push("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET x HTTP/1.1\r\nHost: a\r\n\r\n");
            cases.push(
                "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
                "\x15\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
            );
            for (const text of cases) {
                const c = new Raw(port);
                c.send(text);
                assert.equal((await c.reply()).status, 400, text);
                await c.end();
            }
            // Two readers of "0x5" may not agree on where this request ends: nothing of it becomes another one.
            for (const size of ["5", "0x5", "5 ", "+5"]) {
                const c = new Raw(port);
                c.send(
                    "POST /message HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                        `${size}\r\nhello\r\n0\r\n\r\nGET /hostpair HTTP/1.1\r\nHost: a\r\n\r\n`,
                );
                const { status } = await c.reply();
                assert.ok([400, 411].includes(status), `${size}: ${status}`);
                await c.end();
            }
            const long = new Raw(port);
            long.send(ask(`/${"x".repeat(20_000)}`));
            assert.equal((await long.reply()).status, 414);
        });

        test("answers 100 pipelined requests of every kind in order", async () => {
            const kinds = /** @type {const} */ ([
                ["/plain.txt", 200],
                ["/missing", 404],
                ["/folder", 403],
                ["/list", 200],
                ["/hostpair", 200],
                ["/folder/data.bin", 200],
                ["/", 200],
                ["/empty.bin", 200],
                [`/manifest/${"0".repeat(64)}?chunk=16384`, 404],
                ["/sub/deep/file.txt", 200],
            ]);
            const c = new Raw(port);
            for (let i = 0; i < 100; i++) c.send(ask(kinds[i % 10][0]));
            for (let i = 0; i < 100; i++) {
                const reply = await c.reply();
                assert.equal(reply.status, kinds[i % 10][1], `reply ${i}`);
                if (i % 10 === 0) assert.equal(reply.text, "plain");
                if (i % 10 === 5) assert.equal(reply.body.length, 3_000_001);
            }
            assert.equal(c.length, 0);
            c.close();
        });

        test("takes a request in single bytes", async () => {
            const c = new Raw(port);
            c.socket.setNoDelay(true);
            for (const byte of ask("/plain.txt")) {
                c.send(byte);
                await new Promise((done) => setImmediate(done));
            }
            assert.equal((await c.reply()).text, "plain");
            c.close();
        });

        test("survives connections that say nothing, half a request, or hang up", async () => {
            const silent = Array.from({ length: 50 }, () => connect(port, "127.0.0.1"));
            for (const [i, socket] of silent.entries()) {
                socket.on("error", () => {});
                socket.once("connect", () => {
                    if (i % 3 === 1) socket.write("GET /pl");
                    if (i % 3 === 2) socket.end(ask("/folder/data.bin"));
                });
            }
            assert.equal((await fetchRaw(port, "/plain.txt")).text, "plain");
            for (const socket of silent) socket.destroy();
        });
    });
});
