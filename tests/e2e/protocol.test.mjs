// @ts-check
// The peer protocol over a raw socket: every endpoint, every name, every way that a path could be made to lead out of the folder.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { makeBytes, sha256Of, waitFor } from "./harness.mjs";
import { Raw, ask, fetchRaw } from "./protocol.mjs";
import { NAMES, RESERVED, SECRET, encode, ndjson, startServing } from "./served.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

describe("the peer protocol", () => {
    /** @type {Hostpair} */
    let h;
    /** @type {string} */
    let share;
    /** @type {string} */
    let base;
    /** @type {number} */
    let port;

    before(async () => {
        ({ h, base, share, port } = await startServing());
    });
    after(() => h?.dispose());

    describe("GET /hostpair", () => {
        test("says who this is in its fields, without a body", async () => {
            for (const method of ["GET", "HEAD"]) {
                const reply = await fetchRaw(port, "/hostpair", { method });
                assert.equal(reply.status, 200);
                assert.equal(reply.headers["content-length"], "0");
                assert.match(reply.headers["hostpair-id"], /^[0-9a-f]{32}$/);
                assert.equal(reply.headers["hostpair-name"], encodeURIComponent("Büro 1/2"));
                assert.match(reply.headers.date, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
                assert.match(reply.headers.server, /^hostpair\/\d/);
            }
        });

        test("says more in JSON to who asks for it", async () => {
            const reply = await fetchRaw(port, "/hostpair", {
                headers: { Accept: "text/html, application/json;q=0.5" },
            });
            assert.equal(reply.headers["content-type"], "application/json");
            const json = JSON.parse(reply.text);
            assert.deepEqual(Object.keys(json).sort(), [
                "bytes",
                "files",
                "hashed_bytes",
                "id",
                "instance",
                "list",
                "name",
                "protocol",
                "time",
                "version",
            ]);
            assert.equal(json.id, reply.headers["hostpair-id"]);
            assert.equal(json.name, "Büro 1/2");
            assert.equal(json.protocol, 2);
            assert.match(json.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
            assert.ok(Math.abs(Date.parse(json.time) - Date.now()) < 5000);
            assert.equal(json.files, (await ndjson(port)).length);
            assert.ok(json.bytes >= 3_000_001);
            assert.ok(json.hashed_bytes <= json.bytes);
            // The index may move on between the two.
            await waitFor(async () => {
                const headers = { Accept: "application/json" };
                const now = JSON.parse((await fetchRaw(port, "/hostpair", { headers })).text);
                const list = await fetchRaw(port, "/list", { headers: { Accept: "application/x-ndjson" } });
                return `"${now.list}"` === list.headers.etag;
            });
            assert.equal((await fetchRaw(port, "/hostpair", { headers: { Accept: "*/*" } })).body.length, 0);
            const refused = { Accept: "application/json;q=0" };
            assert.equal((await fetchRaw(port, "/hostpair", { headers: refused })).body.length, 0);
            const head = await fetchRaw(port, "/hostpair", {
                method: "HEAD",
                headers: { Accept: "application/json" },
            });
            assert.ok(Number(head.headers["content-length"]) > 100);
        });

        test("ignores a query and is found under every spelling of its name", async () => {
            for (const target of [
                "/hostpair?x=1",
                "/%68ostpair",
                "http://other/hostpair",
                "http://other:1/hostpair?x",
            ])
                assert.match(
                    (await fetchRaw(port, target)).headers["hostpair-id"] ?? "",
                    /^[0-9a-f]{32}$/,
                    target,
                );
            assert.equal((await fetchRaw(port, "/hostpair/")).status, 404);
            assert.equal((await fetchRaw(port, "/hostpair/x")).status, 404);
            assert.equal((await fetchRaw(port, "/Hostpair")).status, 404);
        });
    });

    describe("GET /list", () => {
        test("names the files directly in the folder as text", async () => {
            const reply = await fetchRaw(port, "/list");
            assert.equal(reply.status, 200);
            assert.equal(reply.headers["content-type"], "text/plain; charset=utf-8");
            assert.equal(reply.headers["content-length"], String(reply.body.length));
            assert.ok(reply.text.endsWith("\r\n"));
            const names = reply.text.split("\r\n").slice(0, -1);
            const wanted = Object.keys(NAMES).filter((name) => !name.includes("/"));
            wanted.push(...RESERVED.slice(0, 6), "empty.bin", "link-inside", "unreadable.txt");
            assert.deepEqual([...names].sort(), wanted.sort());
            const head = await fetchRaw(port, "/list", { method: "HEAD" });
            assert.equal(head.headers["content-length"], String(reply.body.length));
        });

        test("shows a file that was added, renamed or removed at once", async () => {
            const names = async () => (await fetchRaw(port, "/list")).text.split("\r\n");
            writeFileSync(join(share, "new file.txt"), "x");
            assert.ok((await names()).includes("new file.txt"));
            renameSync(join(share, "new file.txt"), join(share, "newer file.txt"));
            assert.ok(
                (await names()).includes("newer file.txt") && !(await names()).includes("new file.txt"),
            );
            rmSync(join(share, "newer file.txt"));
            assert.ok(!(await names()).includes("newer file.txt"));
            await waitFor(async () => !(await ndjson(port)).some((row) => row.path.startsWith("new")));
        });

        test("lists every file at any depth as NDJSON", async () => {
            const rows = await ndjson(port);
            const paths = rows.map((row) => row.path);
            const wanted = [
                ...Object.keys(NAMES),
                ...RESERVED.slice(0, 6),
                "empty.bin",
                "link-inside",
                "unreadable.txt",
            ];
            wanted.push("favicon.ico/inner.txt", "folder/data.bin", "sub/link-up");
            assert.deepEqual([...paths].sort(), wanted.sort());
            assert.deepEqual(
                paths,
                [...paths].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
            );
            for (const row of rows) {
                assert.deepEqual(Object.keys(row), ["path", "size", "mtime", "type", "root"]);
                assert.match(row.mtime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
                assert.match(row.root ?? "0".repeat(64), /^[0-9a-f]{64}$/);
            }
            const data = rows.find((row) => row.path === "folder/data.bin");
            assert.equal(data.size, 3_000_001);
            assert.equal(data.type, "application/octet-stream");
            assert.equal(rows.find((row) => row.path === "<b>.html").type, "text/html");
            assert.equal(rows.find((row) => row.path === "empty.bin").root, null);
        });

        test("has a strong tag that changes with the list, and 304 for who has it", async () => {
            const accept = { Accept: "application/x-ndjson" };
            await waitFor(async () => (await ndjson(port)).every((row) => row.root || row.size === 0), {
                what: "all roots",
            });
            const first = await fetchRaw(port, "/list", { headers: accept });
            assert.equal(first.headers["content-type"], "application/x-ndjson");
            assert.match(first.headers.etag, /^"[^"]+"$/);
            assert.match(first.headers.vary, /\bAccept\b/);
            for (const tags of [first.headers.etag, `"x", W/${first.headers.etag}`, "*"]) {
                const same = await fetchRaw(port, "/list", { headers: { ...accept, "If-None-Match": tags } });
                assert.equal(same.status, 304, tags);
                assert.equal(same.headers.etag, first.headers.etag);
                assert.equal(same.headers["content-length"], undefined);
            }
            const head = await fetchRaw(port, "/list", { method: "HEAD", headers: accept });
            assert.equal(head.headers.etag, first.headers.etag);
            // The tag is the NDJSON's: the text has none.
            assert.equal((await fetchRaw(port, "/list")).headers.etag, undefined);
            assert.equal(
                (await fetchRaw(port, "/list", { headers: { "If-None-Match": first.headers.etag } })).status,
                200,
            );
            writeFileSync(join(share, "one more.txt"), "x");
            await waitFor(async () => {
                const next = await fetchRaw(port, "/list", {
                    headers: { ...accept, "If-None-Match": first.headers.etag },
                });
                return (
                    next.status === 200 &&
                    next.text.includes("one more.txt") &&
                    next.headers.etag !== first.headers.etag
                );
            });
            rmSync(join(share, "one more.txt"));
        });

        test("is found under its own name only", async () => {
            assert.equal((await fetchRaw(port, "/%6C%69%73%74")).status, 200);
            for (const target of ["/list/", "/list/x", "/LIST", "/list%20"])
                assert.equal((await fetchRaw(port, target)).status, 404, target);
        });
    });

    describe("GET /<path>", () => {
        test("serves every name, at both addresses", async () => {
            for (const [name, text] of Object.entries(NAMES))
                for (const prefix of ["/", "/files/"]) {
                    const reply = await fetchRaw(port, prefix + encode(name));
                    assert.equal(reply.status, 200, name);
                    assert.equal(reply.text, text, name);
                    assert.equal(reply.headers["accept-ranges"], "bytes");
                    assert.match(reply.headers.etag, /^"[0-9a-f]{32}"$/);
                    assert.match(reply.headers["last-modified"], / GMT$/);
                    const head = await fetchRaw(port, prefix + encode(name), { method: "HEAD" });
                    for (const field of [
                        "content-length",
                        "etag",
                        "last-modified",
                        "content-type",
                        "accept-ranges",
                    ])
                        assert.equal(head.headers[field], reply.headers[field], `${field} of HEAD ${name}`);
                }
        });

        test("decodes every byte that is escaped, and bytes that should have been", async () => {
            const every = [..."plain.txt"].map((c) => `%${c.charCodeAt(0).toString(16)}`).join("");
            assert.equal((await fetchRaw(port, `/${every}`)).text, "plain");
            assert.equal((await fetchRaw(port, "/plain.txt?query=/../x#y")).text, "plain");
            const bytes = Buffer.from("/äöü€漢字😀.txt", "utf8").toString("latin1");
            assert.equal((await fetchRaw(port, bytes)).text, "unicode");
            assert.equal((await fetchRaw(port, "/plus+and&.txt")).text, "plus");
            assert.equal((await fetchRaw(port, "/%2541.txt")).text, "escape");
            assert.equal((await fetchRaw(port, "/%252e%252e")).text, "dots in escapes");
        });

        test("tells the root once it is known, and the type by the name", async () => {
            const root = await waitFor(
                async () => (await fetchRaw(port, "/folder/data.bin")).headers["hostpair-root"],
            );
            const row = (await ndjson(port)).find(({ path }) => path === "folder/data.bin");
            assert.equal(root, row.root);
            const empty = await fetchRaw(port, "/empty.bin");
            assert.equal(empty.status, 200);
            assert.equal(empty.headers["content-length"], "0");
            assert.equal(empty.headers["hostpair-root"], undefined);
            const page = await fetchRaw(port, "/%3Cb%3E.html");
            assert.equal(page.headers["content-type"], "text/html");
            assert.equal(
                page.headers["content-security-policy"],
                "sandbox",
                "a shared page runs no script as this host",
            );
            assert.equal(page.headers["x-content-type-options"], "nosniff");
        });

        test("serves a large file whole", async () => {
            const reply = await fetchRaw(port, "/folder/data.bin");
            assert.equal(sha256Of(reply.body), sha256Of(makeBytes(3_000_001, 7)));
        });

        test("follows links that stay inside, and no others", async () => {
            assert.equal((await fetchRaw(port, "/link-inside")).text, "plain");
            assert.equal((await fetchRaw(port, "/sub/link-up")).body.length, 3_000_001);
            const out = [
                "link-outside",
                "link-absolute",
                "link-out-folder/secret.txt",
                "link-parent/secret.txt",
            ];
            out.push(
                "link-parent/outside/secret.txt",
                "link-proc",
                "loop-a",
                "dangling",
                "link-out-folder",
                "link-parent",
            );
            for (const name of out)
                for (const prefix of ["/", "/files/"]) {
                    const reply = await fetchRaw(port, prefix + name);
                    assert.equal(reply.status, 404, name);
                    assert.ok(!reply.text.includes(SECRET));
                }
        });

        test("refuses a folder, with or without a slash", async () => {
            for (const path of ["folder", "folder/", "sub/deep", "empty%20folder", "link-folder", "%66older"])
                for (const prefix of ["/", "/files/"])
                    assert.equal((await fetchRaw(port, prefix + path)).status, 403, path);
            assert.equal((await fetchRaw(port, "/files/")).status, 403);
        });

        test("knows nothing of what is missing, not listed or no file", async () => {
            const paths = [
                "missing",
                "plain.txt/",
                "plain.txt/x",
                "folder/missing",
                "folder//data.bin",
                "/plain.txt",
            ];
            paths.push("pipe", ".film.mkv.12.hostpair-part", "folder/.film.mkv.3.hostpair-part", "Plain.txt");
            paths.push(
                "bad-%FF%FE",
                "line%0Abreak.txt",
                "del%7F.txt",
                "c1%C2%85.txt",
                "plain.txt%00",
                "%00",
                "plain.txt%0",
            );
            paths.push("%zz", "%", "plain.tx%", "x".repeat(256), `${"y/".repeat(2047)}z`, "a".repeat(5000));
            for (const path of paths)
                for (const prefix of ["/", "/files/"]) {
                    const reply = await fetchRaw(port, prefix + path);
                    assert.equal(reply.status, 404, path);
                    assert.match(reply.headers["content-type"], /^text\/plain/);
                }
            assert.equal((await fetchRaw(port, "/files")).status, 404);
        });

        test("keeps its reserved words, and serves such files below /files/", async () => {
            for (const word of ["manifest", "torrent", "message", "favicon.ico"]) {
                // A message is posted.
                const status = word === "message" ? 405 : 404;
                assert.equal((await fetchRaw(port, `/${word}`)).status, status, word);
                assert.equal((await fetchRaw(port, `/${word}/x`)).status, 404, word);
            }
            for (const word of RESERVED.slice(0, 6))
                assert.equal((await fetchRaw(port, `/files/${word}`)).text, `file ${word}`);
            assert.equal((await fetchRaw(port, "/favicon.ico/inner.txt")).status, 404);
            assert.equal((await fetchRaw(port, "/files/favicon.ico/inner.txt")).text, "inner");
            assert.equal((await fetchRaw(port, "/%66iles/plain.txt")).text, "plain");
        });

        test("never leaves the folder, in any spelling", async () => {
            const ups = [
                "..",
                "%2e%2e",
                "%2E.",
                ".%2e",
                "..%00",
                "%252e%252e",
                "..;",
                "%c0%ae%c0%ae",
                "%e0%80%ae%e0%80%ae",
            ];
            const slashes = ["/", "%2f", "%2F", "\\", "%5c", "%252f", "%c0%af", "//", "/./", "/%2e/"];
            const targets = ["secret.txt", "outside/secret.txt"];
            /** @type {string[]} */
            const paths = [];
            for (const up of ups)
                for (const slash of slashes)
                    for (const target of targets)
                        for (const start of [
                            "",
                            "folder/../",
                            "folder%2f..%2f",
                            "sub/deep/../../",
                            "/",
                            "./",
                        ])
                            paths.push(
                                `/${start}${up}${slash}${target}`,
                                `/files/${start}${up}${slash}${target}`,
                            );
            paths.push(`/${base}/secret.txt`, `/files/${base}/secret.txt`, `//${base}/secret.txt`);
            paths.push(
                `/files/%2f${base.slice(1)}/secret.txt`,
                "/files/../../secret.txt",
                "/list/../../secret.txt",
            );
            paths.push("/folder/../plain.txt", "/./plain.txt", "/folder/./data.bin", "/folder%2Fdata.bin");
            const c = new Raw(port);
            for (let i = 0; i < paths.length; i += 50) {
                const some = paths.slice(i, i + 50);
                c.send(some.map((path) => ask(path)).join(""));
                for (const path of some) {
                    const reply = await c.reply();
                    assert.equal(reply.status, 404, path);
                    assert.ok(!reply.text.includes(SECRET), path);
                }
            }
            c.send(ask("http://x/../secret.txt") + ask("http://x/%2e%2e/secret.txt"));
            assert.equal((await c.reply()).status, 404);
            assert.equal((await c.reply()).status, 404);
            c.close();
        });
    });

    describe("GET /manifest/<root>", () => {
        test("gives a layer of the hash tree that adds up to the root", async () => {
            const root = await waitFor(
                async () => (await fetchRaw(port, "/folder/data.bin")).headers["hostpair-root"],
            );
            /** @param {Buffer[]} layer @param {Buffer} pad one padding node of this layer */
            const top = (layer, pad) => {
                while (layer.length > 1 || layer.length === 0) {
                    if (layer.length % 2) layer.push(pad);
                    const next = [];
                    for (let i = 0; i < layer.length; i += 2) next.push(hash(layer[i], layer[i + 1]));
                    layer = next;
                    pad = hash(pad, pad);
                }
                return layer[0].toString("hex");
            };
            /** @param {Buffer} a @param {Buffer} b */
            const hash = (a, b) => Buffer.from(sha256Of(Buffer.concat([a, b])), "hex");
            let pad = Buffer.alloc(32);
            for (let chunk = 16384, last = Infinity; chunk <= 4 * 1024 * 1024; chunk *= 2) {
                const reply = await fetchRaw(port, `/manifest/${root}?chunk=${chunk}`);
                assert.equal(reply.status, 200);
                assert.equal(reply.headers["content-type"], "application/octet-stream");
                const count = Math.ceil(3_000_001 / chunk);
                assert.equal(reply.body.length, 32 * count);
                assert.ok(reply.body.length <= last);
                last = reply.body.length;
                const layer = Array.from({ length: count }, (_, i) =>
                    reply.body.subarray(32 * i, 32 * i + 32),
                );
                assert.equal(top(layer, pad), root, `chunk ${chunk}`);
                pad = hash(pad, pad);
            }
            const past = await fetchRaw(port, `/manifest/${root}?chunk=${2 ** 40}`);
            assert.equal(past.body.toString("hex"), root);
            const head = await fetchRaw(port, `/manifest/${root}?chunk=16384`, { method: "HEAD" });
            assert.equal(head.headers["content-length"], String(32 * Math.ceil(3_000_001 / 16384)));
        });

        test("refuses a bad chunk and an unknown root", async () => {
            const root = await waitFor(
                async () => (await fetchRaw(port, "/folder/data.bin")).headers["hostpair-root"],
            );
            const bad = [
                "?chunk=0",
                "?chunk=8192",
                "?chunk=16385",
                "?chunk=20000",
                "?chunk=",
                "",
                "?chunk=x",
                "?chunk=-16384",
            ];
            bad.push(
                "?chunk=016384",
                "?chunk=16384.0",
                "?chunk=99999999999999999999999",
                "?chunk=0x4000",
                "?other=16384",
            );
            for (const query of bad)
                assert.equal((await fetchRaw(port, `/manifest/${root}${query}`)).status, 400, query);
            const unknown = [
                "0".repeat(64),
                root.toUpperCase(),
                root.slice(1),
                `${root}0`,
                "",
                `${root}/`,
                "../list",
            ];
            for (const name of unknown)
                assert.equal((await fetchRaw(port, `/manifest/${name}?chunk=16384`)).status, 404, name);
        });
    });

    describe("GET /", () => {
        /** @param {string} target */
        const links = async (target) => {
            const reply = await fetchRaw(port, target);
            assert.equal(reply.status, 200, target);
            return {
                reply,
                all: [...reply.text.matchAll(/ href="([^"]*)"/g)].map((m) => m[1].replaceAll("&amp;", "&")),
            };
        };

        test("shows every file of a folder with links that work", async () => {
            const { reply, all } = await links("/");
            assert.equal(reply.headers["content-type"], "text/html; charset=utf-8");
            assert.match(reply.headers["content-security-policy"], /default-src 'none'/);
            assert.match(reply.text, /<h1>Files of Büro 1\/2<\/h1>/);
            // The page's own script, and none that a name has brought.
            const scripts = [...reply.text.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)];
            assert.equal(scripts.length, 1);
            const digest = createHash("sha256").update(scripts[0][1]).digest("base64");
            assert.ok(reply.headers["content-security-policy"].includes(`script-src 'sha256-${digest}'`));
            assert.ok(!reply.text.includes("<b>.html"), "escaped names");
            for (const name of Object.keys(NAMES).filter((n) => !n.includes("/"))) {
                const link = all.find(
                    (href) => href.startsWith("/files/") && decodeURIComponent(href) === `/files/${name}`,
                );
                assert.ok(link, name);
                assert.equal((await fetchRaw(port, link)).text, NAMES[name]);
            }
        });

        test("leads into folders and back", async () => {
            const { all } = await links("/");
            assert.ok(all.includes("/?folder=sub"));
            const sub = await links("/?folder=sub");
            assert.deepEqual(sub.all.filter((href) => href.startsWith("/?")).sort(), [
                "/?folder=sub/a%20b",
                "/?folder=sub/deep",
            ]);
            assert.ok(sub.all.includes("/"));
            const deep = await links("/?folder=sub/deep");
            assert.ok(deep.all.includes("/files/sub/deep/file.txt"));
            for (const folder of ["missing", "../outside", "plain.txt", "%2e%2e", "/", "sub/"])
                assert.equal((await fetchRaw(port, `/?folder=${folder}`)).status, 404, folder);
        });

        test("speaks Chinese to who prefers it", async () => {
            const reply = await fetchRaw(port, "/", { headers: { "Accept-Language": "zh-CN,zh;q=0.9" } });
            assert.match(reply.text, /<html lang="zh-Hans">/);
        });

        test("parts a folder of many files into pages", async () => {
            mkdirSync(join(share, "many/inner"), { recursive: true });
            for (let i = 0; i < 1203; i++) writeFileSync(join(share, `many/f${i} &.txt`), "");
            for (let i = 0; i < 5; i++) writeFileSync(join(share, `many/inner/g${i}.txt`), "");
            await waitFor(
                async () =>
                    (await ndjson(port)).filter((row) => row.path.startsWith("many/")).length === 1208,
            );
            const seen = new Set();
            let pages = 0;
            for (let target = "/?folder=many"; target !== ""; pages++) {
                const { reply, all } = await links(target);
                for (const href of all)
                    if (/^\/(files\/many\/f|\?folder=many\/inner$)/.test(href)) seen.add(href);
                target = / rel="next" href="([^"]*)"/.exec(reply.text)?.[1].replaceAll("&amp;", "&") ?? "";
            }
            assert.equal(seen.size, 1204);
            assert.equal(pages, 3);
            const list = await fetchRaw(port, "/list", { headers: { Accept: "application/x-ndjson" } });
            assert.equal(list.headers["transfer-encoding"], "chunked", "a long list is streamed");
            const old = new Raw(port);
            old.send("GET /list HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n");
            assert.deepEqual((await old.reply()).body, list.body);
            rmSync(join(share, "many"), { recursive: true });
            await waitFor(async () => !(await ndjson(port)).some((row) => row.path.startsWith("many/")));
        });
    });
});
