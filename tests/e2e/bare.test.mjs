// @ts-check
// The quick start of README.md, as printed, on bare Debian releases: a root that holds git and nothing that hostpair
// needs. The network is this machine's, and only the package clients use it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { GiveUp, checkout, limitFile, request, waitFor } from "./harness.mjs";
import { RELEASES, bareRoot, whyNoRoot } from "./roots.mjs";

limitFile(40); // it fetches and builds much

/** The commands of README.md's quick start. */
function quickStart() {
    const readme = readFileSync(join(checkout, "README.md"), "utf8");
    const block = /^## Quick start\n[^]*?^```sh\n([^]*?)^```$/m.exec(readme);
    assert.ok(block, "README.md has a quick start");
    return block[1].trim().split("\n");
}

for (const [title, release] of Object.entries(RELEASES))
    test(
        `the quick start works on a bare ${title}`,
        { skip: whyNoRoot(), timeout: 20 * 60_000 },
        async (t) => {
            const commands = quickStart();
            assert.deepEqual(commands, ["git clone URL hostpair", "hostpair/server/run"], "two commands");

            const started = performance.now();
            const seconds = () => ((performance.now() - started) / 1000).toFixed(0);
            const root = await bareRoot(t, release);
            t.diagnostic(`the bare root: ${seconds()} s`);
            mkdirSync(join(root.path, "srv"), { recursive: true });
            const clone = ["clone", "--quiet", "--bare", "--no-hardlinks", checkout];
            execFileSync("git", [...clone, join(root.path, "srv/hostpair.git")]);
            for (const program of ["gcc", "cmake", "node", "npm"])
                assert.notEqual(root.output(`which ${program}`).status, 0, `${program} is not there yet`);

            // As printed, but for the address, which README.md cannot know, and the options that keep it off the network.
            const options =
                "--no-scan --no-beacon --peer-listen 127.0.0.1:0 --dashboard-listen 127.0.0.1:0 --port-file /root/ports.json";
            const child = root.start(
                `cd\n${commands[0].replace("URL", "/srv/hostpair.git")}\nexec ${commands[1]} ${options}\n`,
            );
            let running = true;
            child.exited.then(() => (running = false));
            const ports = await waitFor(
                () => {
                    if (!running) throw new GiveUp(`server/run ended:\n${root.tail()}`);
                    return JSON.parse(readFileSync(join(root.path, "root/ports.json"), "utf8"));
                },
                { timeout: 18 * 60_000, interval: 200, what: "the port file", detail: root.tail },
            );
            t.diagnostic(`installed, built and started: ${seconds()} s`);
            const hello = await request(`http://127.0.0.1:${ports.peer}/hostpair`);
            assert.equal(hello.status, 200);
            assert.match(String(hello.headers["hostpair-id"]), /^[0-9a-f]{32}$/);
            const page = await request(`http://127.0.0.1:${ports.dashboard}/`);
            assert.equal(page.status, 200);
            assert.match(page.text, /<html/i);
            child.kill("SIGTERM");
            assert.deepEqual(await child.exited, { code: 0, signal: null }, root.tail());

            // Nothing was installed over the release's own files, and a second run builds nothing anew.
            assert.equal(root.output("find /usr/local -newer /srv/hostpair.git/HEAD -type f").stdout, "");
            assert.equal(root.output("cd /root/hostpair && git status --porcelain").stdout, "");
        },
    );
