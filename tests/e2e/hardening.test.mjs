// @ts-check
// What makes a fault in hostpair worth less: how the program is built, and what it gives up at its start.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    makeFile,
    runHostpair,
    sha256,
    startHostpair,
    waitState,
} from "./harness.mjs";
import { startHub } from "./hub.mjs";

const plain = process.env.HOSTPAIR_PLAIN_BIN ?? "";
const noReadelf = spawnSync("readelf", ["--version"]).error ? "there is no readelf" : false;

/** A field of /proc/PID/status, for each thread. @param {number} pid @param {string} field */
const statusOf = (pid, field) =>
    readdirSync(`/proc/${pid}/task`).map((task) =>
        Number(
            new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(
                readFileSync(`/proc/${pid}/task/${task}/status`, "utf8"),
            )?.[1],
        ),
    );

describe(
    "the program as it is released",
    { skip: noReadelf || (!existsSync(plain) && "HOSTPAIR_PLAIN_BIN names none") },
    () => {
        const readelf = (/** @type {string[]} */ ...options) =>
            execFileSync("readelf", ["--wide", ...options, plain], { encoding: "utf8", maxBuffer: 64 * MiB });

        test("lies anywhere in memory, with all addresses of libraries found and locked at its start", () => {
            assert.match(readelf("--file-header"), /Type:\s+DYN/);
            assert.match(readelf("--dynamic"), /FLAGS_1\).*\bNOW\b.*\bPIE\b/);
            assert.match(readelf("--program-headers"), /GNU_RELRO/);
            assert.doesNotMatch(readelf("--dynamic"), /TEXTREL|RPATH|RUNPATH/);
        });

        test("has no memory that is both written and run", () => {
            const headers = readelf("--program-headers");
            assert.match(headers, /GNU_STACK\s+(\S+\s+){5}RW\s/);
            const both = headers
                .split("\n")
                .filter((line) => /^\s+LOAD\s/.test(line) && /\bRWE\b/.test(line));
            assert.deepEqual(both, []);
        });

        test("guards its stack and the lengths of its buffers", () => {
            const symbols = readelf("--dyn-syms");
            assert.match(symbols, /__stack_chk_fail/);
            const checked = new Set(symbols.match(/__\w+_chk\b/g));
            assert.ok(checked.size >= 8, `functions with a checked length: ${[...checked]}`);
            assert.ok(checked.has("__snprintf_chk") && checked.has("__memcpy_chk"), `${[...checked]}`);
        });

        test(
            "marks where jumps may lead",
            { skip: process.arch !== "x64" && "this is an instruction of x86-64" },
            () => {
                // The note of the whole program says so only where the C library was built like this as well.
                const endbr64 = Buffer.from("f30f1efa", "hex");
                const code = readFileSync(plain);
                let marks = 0;
                for (let at = 0; (at = code.indexOf(endbr64, at)) >= 0; at += 4) marks++;
                assert.ok(marks > 1000, `${marks} functions begin with endbr64`);
            },
        );
    },
);

describe("the sandbox", () => {
    const here = {
        privileges: statusOf(process.pid, "NoNewPrivs")[0],
        seccomp: statusOf(process.pid, "Seccomp_filters")[0],
    };

    test("holds every thread of hostpair, and --no-sandbox leaves it out", async (t) => {
        const folder = await startHostpair({ t, name: "held" });
        await folder.api("/status");
        const privileges = statusOf(folder.pid, "NoNewPrivs");
        assert.ok(privileges.length > 3, `${privileges.length} threads`);
        assert.deepEqual(new Set(privileges), new Set([1]));
        assert.deepEqual(new Set(statusOf(folder.pid, "Seccomp")), new Set([2]));
        assert.deepEqual(new Set(statusOf(folder.pid, "Seccomp_filters")), new Set([here.seccomp + 1]));

        const open = await startHostpair({ t, name: "open", args: ["--no-sandbox"] });
        assert.deepEqual(new Set(statusOf(open.pid, "NoNewPrivs")), new Set([here.privileges]));
        assert.deepEqual(new Set(statusOf(open.pid, "Seccomp_filters")), new Set([here.seccomp]));
    });

    test("holds the hub as well", async (t) => {
        const hub = await startHub(t);
        assert.deepEqual(new Set(statusOf(hub.pid, "NoNewPrivs")), new Set([1]));
        assert.deepEqual(new Set(statusOf(hub.pid, "Seccomp")), new Set([2]));
        const open = await startHub(t, { args: ["--no-sandbox"] });
        assert.deepEqual(new Set(statusOf(open.pid, "Seccomp_filters")), new Set([here.seccomp]));
    });

    test("lets the downloads folder be changed to one that was made after the start", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        await makeFile(join(a.shareDir, "film.bin"), 3 * MiB, 4);
        const b = await startHostpair({ t, name: "b", defaultFolders: true });
        const host = await addHost(b, a.peerPort);
        const later = join(b.root, "later");
        await mkdir(later);
        const reply = await b.api("/settings", { method: "PATCH", json: { downloads_folder: later } });
        assert.equal(reply.status, 200, reply.text);
        const d = await download(b, { host: host.id, path: "film.bin" });
        await waitState(b, d.id, "done");
        assert.equal(await sha256(join(later, "film.bin")), await sha256(join(a.shareDir, "film.bin")));
    });

    test("is an option that commands and --help know", async () => {
        for (const args of [["--help"], ["hub", "--help"]])
            assert.match((await runHostpair(args)).stdout, /--no-sandbox /);
    });
});
