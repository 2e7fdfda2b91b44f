// @ts-check
// WebDAV: a host as a network folder. What it says byte by byte, and what other people's clients make of it.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import {
    defaultBin,
    freePort,
    makeBytes,
    makeFile,
    request,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";
import { Raw, ask, fetchRaw } from "./protocol.mjs";
import { RESERVED, encode, ndjson, startServing } from "./served.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("node:test").TestContext} TestContext */

const plainBin = process.env.HOSTPAIR_PLAIN_BIN || defaultBin;
const run = promisify(execFile);
const ALLOWED = "GET, HEAD, OPTIONS, PROPFIND";
const ALL =
    '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><displayname/><getlastmodified/>' +
    "<getcontentlength/><getcontenttype/><getetag/></prop></propfind>";

/**
 * Sends a request with a body. from: the address that it comes from.
 * @param {number} port @param {string} target @param {string} body @param {{ depth?: string | null, from?: string }} options
 */
async function propfind(port, target, body = "", { depth = "1", from } = {}) {
    const c = new Raw(port, { from });
    const headers = { Depth: depth ?? undefined, "Content-Length": `${Buffer.byteLength(body)}` };
    c.send(Buffer.from(ask(target, { method: "PROPFIND", headers }) + body));
    const reply = await c.reply();
    c.send(ask("/hostpair"));
    assert.equal((await c.reply()).status, 200, "the connection is in step");
    c.close();
    return reply;
}

/** @param {string} text */
const plain = (text) => text.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));

/**
 * The responses in an answer, by their href: each property that was found with its text, others under "missing".
 * @param {import("./protocol.mjs").RawReply} reply
 */
function responses(reply) {
    assert.equal(reply.status, 207, reply.text);
    assert.equal(reply.headers["content-type"], "application/xml; charset=utf-8");
    const whole =
        /^<\?xml version="1\.0" encoding="utf-8"\?>\n<D:multistatus xmlns:D="DAV:">([^]*)<\/D:multistatus>\n$/;
    const inner = whole.exec(reply.text)?.[1];
    assert.ok(inner !== undefined, `the answer is whole: ${reply.text.slice(-100)}`);
    /** @type {Map<string, Record<string, string>>} */
    const found = new Map();
    for (const [, response] of inner.matchAll(/<D:response>([^]*?)<\/D:response>/g)) {
        /** @type {Record<string, string>} */
        const properties = { missing: "" };
        for (const [, props, status] of response.matchAll(
            /<D:prop>([^]*?)<\/D:prop><D:status>HTTP\/1\.1 (\d+)/g,
        ))
            if (status === "404") properties.missing += props;
            else
                for (const [, name, text] of props.matchAll(/<D:(\w+)>([^]*?)<\/D:\1>/g))
                    properties[name] = plain(text);
        const href = plain(/^<D:href>(.*?)<\/D:href>/.exec(response)?.[1] ?? "");
        assert.ok(!found.has(href), `${href} comes once`);
        found.set(href, properties);
    }
    return found;
}

describe("WebDAV", () => {
    /** @type {Hostpair} */
    let h;
    /** @type {number} */
    let port;
    /** @type {string} */
    let share;

    before(async () => {
        ({ h, port, share } = await startServing());
    });
    after(() => h?.dispose());

    test("says that it is class 1, wherever files are, and that nothing can be written", async () => {
        for (const target of ["/", "/files/", "/files", "/folder", "/files/plain.txt"]) {
            const reply = await fetchRaw(port, target, { method: "OPTIONS" });
            assert.equal(reply.status, 200, target);
            assert.equal(reply.headers.dav, "1");
            assert.equal(reply.headers["ms-author-via"], "DAV");
            assert.equal(reply.headers.allow, ALLOWED);
            for (const method of ["PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK", "UNLOCK"]) {
                const refused = await fetchRaw(port, target, { method, headers: { Destination: "/new" } });
                assert.equal(refused.status, 405, `${method} ${target}`);
                assert.equal(refused.headers.allow, ALLOWED);
            }
        }
        assert.equal(readFileSync(join(share, "plain.txt"), "utf8"), "plain");
    });

    test("lists what GET gives, level by level, with what GET says of it", async () => {
        const wanted = new Map((await ndjson(port)).map((file) => [`/files/${encode(file.path)}`, file]));
        const folders = ["/files/"];
        for (const folder of folders) {
            const found = responses(await propfind(port, folder, ALL));
            assert.ok(found.get(folder)?.resourcetype === "<D:collection/>", `${folder} comes first`);
            assert.deepEqual([...found.keys()][0], folder);
            for (const [href, properties] of found) {
                if (href === folder) continue;
                assert.match(href.slice(folder.length), /^[^/]+\/?$/, "it is directly in the folder");
                if (href.endsWith("/")) {
                    folders.push(href);
                    assert.equal(properties.resourcetype, "<D:collection/>");
                    assert.equal(properties.missing, "<D:getcontentlength/><D:getcontenttype/><D:getetag/>");
                    continue;
                }
                const file = wanted.get(decodeAgain(href));
                assert.ok(file, `${href} is listed`);
                wanted.delete(decodeAgain(href));
                const head = await fetchRaw(port, href, { method: "HEAD" });
                assert.deepEqual(properties, {
                    resourcetype: "",
                    displayname: file.path.split("/").at(-1),
                    getlastmodified: head.headers["last-modified"],
                    getcontentlength: head.headers["content-length"],
                    getcontenttype: head.headers["content-type"],
                    getetag: head.headers.etag,
                    missing: "",
                });
                const alone = responses(await propfind(port, href, ALL, { depth: "0" }));
                assert.deepEqual([...alone], [[href, properties]]);
            }
        }
        assert.deepEqual([...wanted.keys()], [], "no file is left out");
        assert.ok(folders.includes("/files/empty%20folder/"), "empty folders are there");
        assert.ok(!folders.some((folder) => folder.includes("link-")), "links to folders are not");
    });

    /** encodeURIComponent leaves more as it is than the host does. @param {string} href */
    const decodeAgain = (href) => `/files/${encode(decodeURIComponent(href.slice("/files/".length)))}`;

    test("takes folders with and without a slash, and paths without files", async () => {
        const bare = await propfind(port, "/files/folder", ALL, { depth: "0" });
        assert.equal(bare.headers["content-location"], "/files/folder/");
        assert.deepEqual([...responses(bare).keys()], ["/files/folder/"]);
        const slash = await propfind(port, "/files/folder/", ALL);
        assert.equal(slash.headers["content-location"], undefined);
        assert.deepEqual([...responses(slash).keys()], ["/files/folder/", "/files/folder/data.bin"]);
        assert.deepEqual(
            [...responses(await propfind(port, "/folder", ALL)).keys()],
            ["/folder/", "/folder/data.bin"],
        );
        for (const target of ["/files", "/files/"]) {
            const found = responses(await propfind(port, target, ALL, { depth: "0" }));
            assert.deepEqual([...found.keys()], ["/files/"]);
            assert.equal(found.get("/files/")?.displayname, "Büro 1/2");
        }
        const top = responses(await propfind(port, "/", ALL));
        assert.ok(top.has("/") && top.has("/plain.txt") && top.has("/folder/"));
        for (const word of RESERVED) {
            const href = [...top.keys()].find((key) => key.replace(/\/$/, "").endsWith(`/${word}`));
            assert.ok(href?.startsWith("/files/"), `${word} is reached as ${href}`);
        }
    });

    test("is named on the page for guests, with the address that the guest has come by", async () => {
        const page = (/** @type {string} */ target, host = "attic:9000") =>
            fetchRaw(port, target, { headers: { Host: host } }).then((reply) => reply.text);
        assert.match(await page("/"), /In a file manager: <code>http:\/\/attic:9000\/files\/<\/code>/);
        assert.match(
            await page("/?folder=sub/a%20b"),
            /<code>http:\/\/attic:9000\/files\/sub\/a%20b\/<\/code>/,
        );
        assert.match(await page("/", "a&b'"), /<code>http:\/\/a&#38;b&#39;\/files\/<\/code>/);
        assert.doesNotMatch(await page("/", ""), /In a file manager/);
    });

    test("knows what is not there, or not for clients", async () => {
        for (const target of [
            "/files/missing",
            "/files/plain.txt/",
            "/files/plain.txt/x",
            "/files/../secret.txt",
            "/files/%2e%2e/secret.txt",
            "/files/folder/..%2fplain.txt",
            "/files//folder/",
            "/files/bad-%ff%fe",
            "/files/.film.mkv.12.hostpair-part",
            "/files/link-out-folder/",
            "/files/link-outside",
            "/files/link-parent/",
            "/files/dangling",
            "/files/pipe",
            "/files/%zz",
        ])
            assert.equal((await propfind(port, target, ALL)).status, 404, target);
        for (const target of ["/hostpair", "/list", "/manifest/x", "/torrent/plain.txt"])
            assert.equal((await propfind(port, target, ALL)).status, 405, target);
    });

    test("does not go down to the ground", async () => {
        for (const depth of ["infinity", "Infinity", null]) {
            const reply = await propfind(port, "/files/", ALL, { depth });
            assert.equal(reply.status, 403);
            assert.match(reply.text, /<D:error xmlns:D="DAV:"><D:propfind-finite-depth\/><\/D:error>/);
            assert.equal(responses(await propfind(port, "/files/plain.txt", ALL, { depth })).size, 1);
        }
        for (const depth of ["2", "", "-1", "1,noroot"])
            assert.equal((await propfind(port, "/files/", ALL, { depth })).status, 400, `depth ${depth}`);
    });

    test("answers what is asked, and says what it does not have", async () => {
        const all = responses(await propfind(port, "/files/plain.txt", "", { depth: "0" }));
        assert.deepEqual(
            Object.keys(all.get("/files/plain.txt") ?? {}),
            "missing resourcetype displayname getlastmodified getcontentlength getcontenttype getetag supportedlock".split(
                " ",
            ),
        );
        const names = await propfind(
            port,
            "/files/plain.txt",
            '<propfind xmlns="DAV:"><propname/></propfind>',
        );
        assert.match(names.text, /<D:prop><D:resourcetype\/>.*<D:getetag\/>.*<\/D:prop>/);
        const some = await propfind(
            port,
            "/files/plain.txt",
            '<a:propfind xmlns:a="DAV:" xmlns:b="urn:x&amp;y"><a:prop><a:getetag/><b:colour/><a:quota/></a:prop></a:propfind>',
        );
        const [file] = responses(some).values();
        assert.deepEqual(Object.keys(file), ["missing", "getetag"]);
        assert.equal(file.missing, '<x:colour xmlns:x="urn:x&#38;y"/><x:quota xmlns:x="DAV:"/>');
    });

    test("refuses bodies that are no question, or a trap", async () => {
        const laughs = Array.from({ length: 20 }, (_, i) =>
            i ? `<!ENTITY l${i} "${`&l${i - 1};`.repeat(10)}">` : '<!ENTITY l0 "ha">',
        );
        /** @type {[string, number, RegExp][]} */
        const bodies = [
            ["no XML", 400, /no XML/],
            ['<propfind xmlns="DAV:"><prop>', 400, /no XML/],
            ['<propfind xmlns="DAV:"><prop><bar:foo xmlns:bar=""/></prop></propfind>', 400, /no XML/],
            ['<propfind xmlns="DAV:"/>', 400, /asks nothing/],
            ["<propfind><allprop/></propfind>", 400, /no propfind element/],
            [
                `<!DOCTYPE x [${laughs.join("")}]><propfind xmlns="DAV:"><prop>&l19;</prop></propfind>`,
                400,
                /entity/,
            ],
            [
                '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><propfind xmlns="DAV:"><prop>&e;</prop></propfind>',
                403,
                /<D:no-external-entities\/>/,
            ],
            [
                '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><propfind xmlns="DAV:"><allprop/></propfind>',
                403,
                /<D:no-external-entities\/>/,
            ],
            ['<propfind xmlns="DAV:">' + "<a>".repeat(5000), 413, /in one another/],
            [
                `<propfind xmlns="DAV:"><prop>${Array.from({ length: 65 }, (_, i) => `<p${i}/>`).join("")}</prop></propfind>`,
                413,
                /too many properties/,
            ],
            [
                `<propfind xmlns="DAV:"><prop>${"<getetag/>".repeat(10_000)}</prop></propfind>`,
                413,
                /larger|longer/,
            ],
        ];
        for (const [body, status, words] of bodies) {
            const c = new Raw(port);
            const headers = { Depth: "0", "Content-Length": `${body.length}` };
            c.send(ask("/files/", { method: "PROPFIND", headers }) + body);
            const reply = await c.reply();
            c.close();
            assert.equal(reply.status, status, `${body.slice(0, 80)}: ${reply.text}`);
            assert.match(reply.text, words);
        }
    });
});

describe("WebDAV of a folder with 100,000 files", () => {
    const COUNT = 100_000;
    /** @type {Hostpair} */
    let h;

    before(async () => {
        h = await startHostpair({ bin: plainBin });
        mkdirSync(join(h.shareDir, "many"));
        for (let i = 0; i < COUNT; i++)
            writeFileSync(join(h.shareDir, `many/a photo of the summer ${i}.jpg`), "");
    });
    after(() => h?.dispose());

    const residentKiB = () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${h.pid}/status`, "utf8"))?.[1]);
    // The longer the answer, the less of it fits into the kernel's buffers.
    const others = Array.from({ length: 35 }, (_, i) => `<${"property".repeat(12)}${i}/>`).join("");
    const long = `<propfind xmlns="DAV:"><prop>${others}</prop></propfind>`;
    const headers = { Depth: "1", "Content-Length": `${long.length}` };
    const question = ask("/files/many", { method: "PROPFIND", headers }) + long;

    test("comes whole, in pieces, and the connection goes on", async () => {
        const reply = await propfind(h.peerPort, "/files/many");
        assert.equal(reply.headers["transfer-encoding"], "chunked");
        assert.equal(responses(reply).size, COUNT + 1);
    });

    test("comes whole to a client of HTTP/1.0", async () => {
        const c = new Raw(h.peerPort);
        c.send(ask("/files/many", { method: "PROPFIND", version: "1.0", headers: { Depth: "1" } }));
        assert.equal(responses(await c.reply()).size, COUNT + 1);
    });

    test("costs little for clients that stop reading, and others are served", async () => {
        const start = residentKiB();
        const stop = (/** @type {number} */ length, from = "127.0.0.1") =>
            Array.from({ length }, () => new Raw(h.peerPort, { reads: false, from }).send(question));
        const stopped = stop(70);
        const refused = (from = "127.0.0.1") =>
            waitFor(
                async () => {
                    const reply = await propfind(h.peerPort, "/files/many", "", { from });
                    return reply.status === 503 && reply;
                },
                { what: `the limit of lists under way, for ${from}`, interval: 250 },
            );
        try {
            assert.equal((await refused()).headers["retry-after"], "1");
            const other = await propfind(h.peerPort, "/files/many", "", { from: "127.0.0.2" });
            assert.equal(other.status, 207, "another address is not held up by this one");
            for (const from of ["127.0.0.2", "127.0.0.3", "127.0.0.4"]) stopped.push(...stop(20, from));
            await refused("127.0.0.5");
            assert.equal((await propfind(h.peerPort, "/files/many", ALL, { depth: "0" })).status, 207);
            assert.equal((await h.peer("/files/many/a%20photo%20of%20the%20summer%201.jpg")).status, 200);
            const grown = residentKiB() - start;
            assert.ok(grown < 40_000, `the lists take ${grown} KiB`);
        } finally {
            for (const c of stopped) c.close();
        }
        await waitFor(async () => (await propfind(h.peerPort, "/files/many")).status === 207, {
            what: "room after they have gone",
        });
    });

    test("is cut when the client is not let in any more", async (t) => {
        const c = new Raw(h.peerPort, { reads: false });
        t.after(() => c.close());
        t.after(() => h.api("/settings", { method: "PATCH", json: { access: "everyone" } }));
        c.send(question);
        await waitFor(
            async () =>
                (await h.api("/connections")).json.connections.some(
                    (/** @type {any} */ o) => o.port === c.socket.localPort && o.bytes_sent > 100_000,
                ),
            { what: "the list to be under way" },
        );
        assert.equal((await h.api("/settings", { method: "PATCH", json: { access: "hosts" } })).status, 200);
        c.socket.resume();
        await c.end();
        assert.ok(c.peek().includes("207 Multi-Status"));
        assert.ok(!c.peek().includes("</D:multistatus>"), "the rest of the list does not come");
        assert.equal((await propfind(h.peerPort, "/files/many")).status, 403);
        assert.equal((await fetchRaw(h.peerPort, "/files/", { method: "OPTIONS" })).status, 403);
    });

    test("ends with what is left when the folder goes meanwhile", async () => {
        mkdirSync(join(h.shareDir, "going"));
        for (let i = 0; i < 2000; i++) writeFileSync(join(h.shareDir, `going/${"n".repeat(200)}${i}`), "");
        const c = new Raw(h.peerPort);
        c.send(ask("/files/going/", { method: "PROPFIND", headers: { Depth: "1" } }));
        await c.head();
        rmSync(join(h.shareDir, "going"), { recursive: true });
        await waitFor(() => c.ended || c.peek().includes("</D:multistatus>\n"));
        c.close();
        assert.equal((await propfind(h.peerPort, "/files/going/")).status, 404);
    });
});

/** For the `skip` option: why a program cannot be used. @param {...string} programs */
function missing(...programs) {
    for (const program of programs)
        if (
            !(process.env.PATH ?? "")
                .split(":")
                .concat("/usr/sbin", "/sbin")
                .some((dir) => existsSync(join(dir, program)))
        )
            return `${program} is not installed`;
    return false;
}

describe("WebDAV with the clients of others", () => {
    /** @type {Hostpair} */
    let h;
    /** @type {string} */
    let url;
    /** @type {Record<string, string | undefined>} */
    let env;
    const big = makeBytes(3_000_000, 3);

    before(async () => {
        h = await startHostpair({});
        mkdirSync(join(h.shareDir, "photos/im Sommer"), { recursive: true });
        mkdirSync(join(h.shareDir, "empty"));
        writeFileSync(join(h.shareDir, "read me.txt"), "hello\n");
        writeFileSync(join(h.shareDir, "photos/im Sommer/Ä & <b>.jpg"), "picture");
        await makeFile(join(h.shareDir, "photos/big.bin"), big.length, 3);
        url = `${h.peerUrl}/files/`;
        env = { ...process.env, HOME: h.home, LC_ALL: "C.UTF-8", XDG_CONFIG_HOME: undefined };
    });
    after(() => h?.dispose());

    test("rclone copies everything", { skip: missing("rclone") }, async (t) => {
        const to = tempDir(t);
        await run("rclone", ["copy", `:webdav,url='${url}':`, to], { env, timeout: 60_000 });
        assert.equal(readFileSync(join(to, "read me.txt"), "utf8"), "hello\n");
        assert.equal(readFileSync(join(to, "photos/im Sommer/Ä & <b>.jpg"), "utf8"), "picture");
        assert.ok(readFileSync(join(to, "photos/big.bin")).equals(big));
        const { stdout } = await run("rclone", ["lsf", "-R", `:webdav,url='${url}':`], {
            env,
            timeout: 60_000,
        });
        assert.deepEqual(stdout.trimEnd().split("\n").sort(), [
            "empty/",
            "photos/",
            "photos/big.bin",
            "photos/im Sommer/",
            "photos/im Sommer/Ä & <b>.jpg",
            "read me.txt",
        ]);
        const put = ["copyto", join(to, "read me.txt"), `:webdav,url='${url}':new`, "--retries", "1"];
        await assert.rejects(run("rclone", put, { env, timeout: 60_000 }), /405/);
    });

    test("rclone syncs, finds no difference, and reads a part", { skip: missing("rclone") }, async (t) => {
        const to = tempDir(t);
        const remote = `:webdav,url='${url}':`;
        const rclone = (/** @type {string[]} */ ...args) =>
            run("rclone", args, { env, timeout: 60_000, encoding: "buffer", maxBuffer: 8_000_000 });
        writeFileSync(join(to, "left over.txt"), "not at the source");
        await rclone("sync", remote, to);
        assert.deepEqual(readdirSync(to).sort(), ["photos", "read me.txt"]);
        await rclone("check", remote, to, "--download");
        writeFileSync(join(to, "read me.txt"), "HELLO\n");
        await assert.rejects(rclone("check", remote, to, "--download"), /1 differences found/);
        await rclone("sync", remote, to, "--ignore-times");
        await rclone("check", remote, to, "--download");
        const part = await rclone("cat", `${remote}photos/big.bin`, "--offset", "1234567", "--count", "7654");
        assert.ok(part.stdout.equals(big.subarray(1_234_567, 1_234_567 + 7654)), "exactly this part");
    });

    test("cadaver walks through and fetches", { skip: missing("cadaver") }, async (t) => {
        const to = join(tempDir(t), "got");
        const child = spawn("cadaver", [url], { env, stdio: ["pipe", "pipe", "pipe"], timeout: 60_000 });
        let said = "";
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += text));
        child.stdin.end(
            `ls\ncd photos\nls\ncd "im Sommer"\nls\ncd ../..\nget "read me.txt" ${to}\nput ${to} new\nmkcol x\nquit\n`,
        );
        await new Promise((done) => child.on("close", done));
        assert.match(said, /Listing collection `\/files\/': succeeded/);
        assert.match(said, /Coll: +empty/);
        assert.match(said, /big\.bin +3000000/);
        assert.match(said, /Ä & <b>\.jpg +7/);
        assert.equal(readFileSync(to, "utf8"), "hello\n");
        assert.equal(said.match(/405 Method Not Allowed/g)?.length, 2, said);
    });

    test(
        "gio, and so the file manager of GNOME, opens it",
        {
            skip:
                missing("gio", "dbus-run-session") ||
                (existsSync("/usr/lib/x86_64-linux-gnu/gvfs") || existsSync("/usr/libexec/gvfsd-dav")
                    ? false
                    : "gvfs-backends is not installed"),
        },
        async (t) => {
            const runtime = tempDir(t);
            const dav = url.replace("http:", "dav:");
            const script = [
                `gio mount "${dav}"`,
                `gio list -l "${dav}"`,
                `gio list "${dav}photos/im%20Sommer"`,
                `gio cat "${dav}read%20me.txt"`,
                `gio copy "${dav}photos/big.bin" "${runtime}/big.bin"`,
                `gio mount -u "${dav}"`,
            ].join(" && ");
            const { stdout } = await run("dbus-run-session", ["--", "sh", "-c", script], {
                env: { ...env, XDG_RUNTIME_DIR: runtime, DBUS_SESSION_BUS_ADDRESS: undefined },
                timeout: 60_000,
            });
            assert.match(stdout, /^photos\t0\t\(directory\)$/m);
            assert.match(stdout, /^read me\.txt\t6\t\(regular\)$/m);
            assert.match(stdout, /^Ä & <b>\.jpg$/m);
            assert.match(stdout, /^hello$/m);
            assert.ok(readFileSync(join(runtime, "big.bin")).equals(big));
        },
    );

    const noFuse = () => {
        if (process.getuid?.() !== 0) return "only root can mount";
        return existsSync("/dev/fuse") ? false : "there is no FUSE here";
    };
    /** What is in a mount of davfs2; undefined: it cannot tell. @param {string} at */
    const list = (at) => {
        try {
            return readdirSync(at)
                .filter((name) => name !== "lost+found")
                .sort();
        } catch (error) {
            if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EINVAL") throw error;
            return undefined;
        }
    };
    /** davfs2 1.6 lists nothing with some kernels: whether it lists a folder of another server. @param {TestContext} t */
    const listsOthers = async (t) => {
        if (missing("rclone")) return true;
        const dir = tempDir(t);
        const at = join(dir, "mount");
        for (const name of ["mount", "served", "served/folder"]) mkdirSync(join(dir, name));
        writeFileSync(join(dir, "davfs2.conf"), "ask_auth 0\n");
        const port = await freePort();
        const address = `127.0.0.1:${port}`;
        const args = ["serve", "webdav", join(dir, "served"), "--addr", address];
        const server = spawn("rclone", args, { env, stdio: "ignore" });
        t.after(() => server.kill());
        await waitFor(() => request(`http://${address}/`).then(Boolean, () => false), { what: "rclone" });
        await run("mount.davfs", ["-o", `ro,conf=${join(dir, "davfs2.conf")}`, `http://${address}/`, at], {
            env,
            timeout: 60_000,
        });
        try {
            return list(at) !== undefined;
        } finally {
            execFileSync("umount", [at], { timeout: 60_000, stdio: "ignore" });
        }
    };
    test("davfs2 mounts it", { skip: missing("mount.davfs") || noFuse() }, async (t) => {
        const dir = tempDir(t);
        const at = join(dir, "mount");
        mkdirSync(at);
        writeFileSync(join(dir, "davfs2.conf"), "ask_auth 0\n");
        await run("mount.davfs", ["-o", `ro,conf=${join(dir, "davfs2.conf")}`, url, at], {
            env,
            timeout: 60_000,
        });
        try {
            assert.equal(readFileSync(join(at, "read me.txt"), "utf8"), "hello\n");
            assert.equal(readFileSync(join(at, "photos/im Sommer/Ä & <b>.jpg"), "utf8"), "picture");
            assert.ok(readFileSync(join(at, "photos/big.bin")).equals(big));
            assert.ok(statSync(join(at, "empty")).isDirectory());
            assert.throws(() => statSync(join(at, "missing")), /ENOENT/);
            const names = list(at);
            if (names === undefined && !(await listsOthers(t)))
                return t.skip("here davfs2 lists no folder of any server");
            assert.deepEqual(names, ["empty", "photos", "read me.txt"]);
        } finally {
            execFileSync("umount", [at], { timeout: 60_000, stdio: "ignore" });
        }
    });

    // litmus wants to make its folder first. What stands between makes it, and hands on the rest.
    test("litmus finds no fault with what can be read", { skip: missing("litmus") }, async (t) => {
        const between = http.createServer((request, reply) => {
            const { method, url: target } = request;
            if (method === "MKCOL" && target === "/files/litmus/") {
                mkdirSync(join(h.shareDir, "litmus"));
                reply.writeHead(201).end();
                return;
            }
            if (method === "DELETE" && target === "/files/litmus/") {
                reply.writeHead(404).end();
                return;
            }
            request.pipe(
                http.request(
                    { port: h.peerPort, host: "127.0.0.1", method, path: target, headers: request.headers },
                    (answer) => {
                        reply.writeHead(answer.statusCode ?? 500, answer.headers);
                        answer.pipe(reply);
                    },
                ),
            );
        });
        await new Promise((done) => between.listen(0, "127.0.0.1", () => done(undefined)));
        const { port } = /** @type {import("node:net").AddressInfo} */ (between.address());
        let said = "";
        for (const suite of ["basic", "props"]) {
            rmSync(join(h.shareDir, "litmus"), { recursive: true, force: true });
            const child = spawn("litmus", ["-k", `http://127.0.0.1:${port}/files/`], {
                env: { ...env, TESTS: suite },
                cwd: tempDir(t),
                stdio: ["ignore", "pipe", "pipe"],
                timeout: 60_000,
            });
            child.stdout.on("data", (text) => (said += text));
            await new Promise((done) => child.on("close", done));
        }
        between.close();
        assert.match(said, /options\.* WARNING: server does not claim Class 2 compliance/);
        for (const name of ["propfind_invalid", "propfind_invalid2", "propfind_d0"])
            assert.match(said, new RegExp(`\\b${name}\\.* pass\n`), said);
    });
});
