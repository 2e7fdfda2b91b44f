// @ts-check
// The examples of README.md, run as printed. Only the two addresses in them are replaced: that of this host's dashboard by the
// one that the test started, and that of the other host by a second one.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import {
    MiB,
    checkout,
    makeFile,
    runHostpair,
    sha256,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";

const OTHER = "192.168.1.20";
const readme = readFileSync(join(checkout, "README.md"), "utf8");

/** @param {string} command @param {string} cwd @param {Record<string, string>} [env] */
function run(command, cwd, env = {}) {
    return new Promise((done) => {
        const child = spawn("bash", ["-c", command], {
            cwd,
            env: { ...process.env, ...env },
            stdio: ["ignore", "pipe", "pipe"],
        });
        let output = "";
        let errors = "";
        child.stdout.on("data", (part) => (output += part));
        child.stderr.on("data", (part) => (errors += part));
        child.on("close", (code) => done({ code, output, errors }));
    });
}

/** The lines of the examples in a section. @param {string} title */
function examples(title) {
    const section = new RegExp(`^## ${title}\\n([^]*?)^## `, "m").exec(readme)?.[1] ?? "";
    return [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].flatMap(([, block]) =>
        block
            .replace(/\\\n\s*/g, " ")
            .trim()
            .split("\n")
            .filter((line) => !line.startsWith("#")),
    );
}

/** Waits until both of its files are offered with their roots. @param {import("./harness.mjs").Hostpair} other */
const shared = (other) =>
    waitFor(
        async () => {
            const { share } = (await other.api("/status")).json;
            return share.files === 2 && share.hashed_bytes === share.bytes;
        },
        { what: "the share being hashed" },
    );

test(
    "the curl examples work as printed, in the printed order, on one pair of hosts",
    { timeout: 120_000 },
    async (t) => {
        const commands = [...examples("With curl"), ...examples("Messages and connections")];
        assert.ok(commands.length >= 16, `${commands.length} examples`);

        const other = await startHostpair({ t, name: "other" });
        await makeFile(join(other.shareDir, "holiday.mp4"), 12 * MiB + 5, 1);
        await makeFile(join(other.shareDir, "photos/beach.jpg"), 5000, 2);
        const { id } = (await other.api("/status")).json;
        const own = await startHostpair({ t, name: "own" });
        await shared(other);
        const cwd = tempDir(t);
        await makeFile(join(cwd, "summer.jpg"), 7000, 3);
        const client = net.connect(own.peerPort, "127.0.0.1");
        t.after(() => client.destroy());
        let closed = false;
        client.on("error", () => {}).on("close", () => (closed = true));
        const { localPort } = await new Promise((done) => client.on("connect", () => done(client)));
        let digest = "";
        for (const printed of commands) {
            let command = printed
                .replaceAll("http://localhost:9001", own.dashboardUrl)
                .replaceAll(`http://${OTHER}:9000`, other.peerUrl)
                .replaceAll(`"${OTHER}"`, `"127.0.0.1:${other.peerPort}"`)
                .replaceAll("0123456789abcdef0123456789abcdef", id)
                .replace("--max-time 60", "--max-time 2");
            if (command.includes("-X DELETE")) {
                const { connections } = (await own.api("/connections")).json;
                const mine = connections.find((/** @type {any} */ c) => c.address.endsWith(`:${localPort}`));
                command = command.replace("connections/1", `connections/${(mine ?? connections[0]).id}`);
            }
            assert.doesNotMatch(
                command,
                /192\.168|:900[01]/,
                "no address is left that is not the test's own",
            );
            const { code, output, errors } = await run(command, cwd);
            assert.equal(code, command.includes("--max-time") ? 28 : 0, `${printed}\n${output}\n${errors}`);
            assert.doesNotMatch(output, /"status": ?[45]\d\d/, `${printed}\n${output}`);
            if (command.includes("--max-time")) assert.match(output, /^event: /m, printed);
            if (command.includes("/digest")) digest = output;
            if (/downloads'? -d|"folder"/.test(printed)) {
                const { downloads } = (await own.api("/downloads")).json;
                for (const d of downloads) await waitState(own, d.id, ["done", "paused"]);
            }
        }
        const sum = await sha256(join(other.shareDir, "holiday.mp4"));
        assert.equal(await sha256(join(cwd, "holiday.mp4")), sum);
        assert.ok(digest.includes(sum), digest);
        assert.ok(existsSync(join(cwd, "photos.zip")), "a zip has the folder's name");
        assert.equal(
            await sha256(join(cwd, "beach.jpg")),
            await sha256(join(other.shareDir, "photos/beach.jpg")),
        );
        for (const path of ["holiday.mp4", "photos/beach.jpg"])
            assert.ok(existsSync(join(own.downloadsDir, path)), `${path} was downloaded`);
        await waitFor(() => closed, { what: "the connection being closed" });
        const got = await waitFor(async () => {
            const { messages } = (await other.api("/messages")).json;
            return messages.length === 2 && messages;
        });
        assert.deepEqual(
            got.map((/** @type {any} */ m) => [m.text, m.offer?.path]),
            [
                ["Lunch?", undefined],
                ["As promised", "summer.jpg"],
            ],
        );
        assert.equal((await own.api(`/hosts/${id}`)).json.blocked, false);
    },
);

test("the commands for a terminal work as printed", { timeout: 60_000 }, async (t) => {
    const commands = examples("On a terminal");
    assert.ok(commands.length >= 8, `${commands.length} examples`);
    const other = await startHostpair({ t, name: "attic" });
    await makeFile(join(other.shareDir, "holiday.mp4"), 2 * MiB + 5, 1);
    await makeFile(join(other.shareDir, "photos/beach.jpg"), 5000, 2);
    await shared(other);
    const own = await startHostpair({ t, name: "own" });
    const cwd = tempDir(t);
    await makeFile(join(cwd, "summer.jpg"), 7000, 3);
    // A person has hostpair in the PATH; it finds the one that runs by its data folder.
    const bin = join(cwd, "bin");
    await mkdir(bin);
    await symlink(own.bin, join(bin, "hostpair"));
    const env = { PATH: `${bin}:${process.env.PATH}`, HOME: cwd, HOSTPAIR_DATA: own.dataDir };
    for (const printed of commands) {
        const command = printed.replaceAll(OTHER, `127.0.0.1:${other.peerPort}`);
        const { code, output, errors } = await run(command, cwd, env);
        assert.equal(code, 0, `${printed}\n${output}\n${errors}`);
        assert.notEqual(output, "", printed);
    }
    for (const path of ["holiday.mp4", "photos/beach.jpg"])
        assert.ok(existsSync(join(own.downloadsDir, path)), `${path} was downloaded`);
    assert.ok(existsSync(join(own.shareDir, "summer.jpg")), "it is offered");
    const { messages } = (await other.api("/messages")).json;
    assert.deepEqual(
        messages.map((/** @type {any} */ m) => m.text),
        ["Thanks, I have it."],
    );
});

test("the commands are the same in README.md as in hostpair help", async () => {
    const { stdout } = await runHostpair(["help"]);
    const [, list] = /^Commands:\n([^]*?)\n\n/m.exec(stdout) ?? [];
    const real = list.split("\n").map((line) => line.trim().split(/ {2,}/));
    const told = [...readme.matchAll(/^\| `hostpair ([^`]+)` \| (.*?) \|$/gm)].map((row) => [
        row[1].replaceAll("\\|", "|"),
        row[2],
    ]);
    assert.ok(real.length >= 9, stdout);
    assert.deepEqual(told, real);
});

test("every folder that the READMEs name in tables is there", () => {
    for (const [file, below, least] of /** @type {const} */ ([
        ["server/README.md", "server", 15],
        ["tests/README.md", ".", 6],
    ])) {
        const text = readFileSync(join(checkout, file), "utf8");
        const rows = [...text.matchAll(/^\| `([a-z][\w.-]*\/[\w./-]*)`/gm)].map((m) => m[1]);
        assert.ok(rows.length >= least, `${file}: ${rows.length} rows`);
        for (const path of rows) assert.ok(existsSync(join(checkout, below, path)), `${file}: ${path}`);
    }
});
