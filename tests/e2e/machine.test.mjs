// @ts-check
// Machines that lack something: a limit on the size of files, a home folder that cannot be written, a hostpair that runs
// already, nobody but root.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import {
    MiB,
    addHost,
    download,
    getDownload,
    makeFile,
    pathOf,
    runHostpair,
    sha256,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";

const isRoot = process.getuid?.() === 0;

test(
    "past ulimit -f a download fails with a reason, and the rest goes on",
    { timeout: 60_000 },
    async (t) => {
        const other = await startHostpair({ t, name: "other" });
        await makeFile(join(other.shareDir, "large.bin"), 48 * MiB, 1);
        await makeFile(join(other.shareDir, "small.bin"), 3 * MiB, 2);
        const own = await startHostpair({ t, name: "own", wrap: ["prlimit", `--fsize=${24 * MiB}`] });
        const host = await addHost(own, other.peerPort);
        const { id } = await download(own, { host: host.id, path: "large.bin" });
        await waitFor(
            async () => {
                const d = await getDownload(own, id);
                return /no file of more than 25165824 bytes here \(ulimit -f\)/.test(
                    `${d.reason} ${d.error?.detail}`,
                );
            },
            {
                timeout: 30_000,
                what: "the reason",
                detail: async () => JSON.stringify(await getDownload(own, id)),
            },
        );
        const small = await waitState(
            own,
            (await download(own, { host: host.id, path: "small.bin" })).id,
            "done",
        );
        assert.equal(await sha256(pathOf(own, small)), await sha256(join(other.shareDir, "small.bin")));
        await own.stop();

        const again = await startHostpair({ t, name: "own", data: own.dataDir, downloads: own.downloadsDir });
        await again.api(`/downloads/${id}/retry`, { method: "POST" });
        const done = await waitState(again, id, "done", { timeout: 30_000 });
        assert.equal(await sha256(pathOf(again, done)), await sha256(join(other.shareDir, "large.bin")));
    },
);

test("a second start with the same data says what is in the way", { timeout: 30_000 }, async (t) => {
    const first = await startHostpair({ t, name: "first" });
    const { code, stderr } = await runHostpair([
        ...["--no-scan", "--no-beacon", "--data", first.dataDir, "--share", first.shareDir],
        ...[
            "--downloads",
            first.downloadsDir,
            "--peer-listen",
            "127.0.0.1:0",
            "--dashboard-listen",
            "127.0.0.1:0",
        ],
    ]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /another hostpair/);
    assert.equal((await first.api("/status")).status, 200, "the first one goes on");
});

test(
    "a home folder that cannot be written is named, in one line",
    { skip: isRoot ? false : "needs root", timeout: 30_000 },
    async (t) => {
        const home = tempDir();
        mkdirSync(join(home, "mounted"));
        const mounted = join(home, "mounted");
        const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", mounted]);
        t.after(async () => {
            spawnSync("umount", [mounted]);
            await rm(home, { recursive: true });
        });
        if (mount.status !== 0) return t.skip("no file system can be mounted here");
        const { code, stderr } = await runHostpair(
            ["--no-scan", "--no-beacon", "--peer-listen", "127.0.0.1:0", "--dashboard-listen", "127.0.0.1:0"],
            { env: { HOME: mounted } },
        );
        assert.equal(code, 1, stderr);
        const words = stderr.split("\n").filter((line) => line !== "" && !line.includes("running as root"));
        assert.equal(words.length, 1, stderr);
        assert.match(words[0], /mounted/);
        assert.match(words[0], /read-only/i);
    },
);

test("as root it works, and warns once", { skip: isRoot ? false : "needs root" }, async (t) => {
    const h = await startHostpair({ t });
    assert.equal((await h.api("/status")).status, 200);
    assert.equal(h.stderr().match(/warn .*running as root/g)?.length, 1, h.stderr());
});
