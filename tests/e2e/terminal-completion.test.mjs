// @ts-check
// What the Tab key completes in bash.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    addHost,
    checkout,
    defaultBin,
    download,
    makeFile,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";
import { listed, sharing } from "./hosts.mjs";
import { asks, commands, pair, piped, rows, terminal } from "./terminal.mjs";

describe("completion in bash", () => {
    const script = join(checkout, "docker/hostpair.bash");

    /** The candidates for the last of these words. @param {string[]} words @param {Record<string, string>} env */
    async function complete(words, env) {
        const list = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
        const program = `source ${script}; COMP_WORDS=("$0" ${list}); COMP_CWORD=${words.length}
            _hostpair "$0"; printf '%s\\n' "\${COMPREPLY[@]}"`;
        const { stdout, stderr } = await piped(["-c", program, defaultBin], { program: "bash", env });
        assert.equal(stderr, "");
        return rows(stdout);
    }

    test("knows commands, hosts, their files, downloads and options", async (t) => {
        const { id, own, env } = await pair(t);
        assert.deepEqual(await complete([""], env), commands);
        assert.deepEqual(await complete(["h"], env), ["hosts", "help"]);
        assert.deepEqual(await complete(["ls", ""], env), ["attic"]);
        assert.deepEqual(await complete(["ls", "x"], env), []);
        assert.deepEqual(await complete(["send", ""], env), ["everyone", "attic"]);
        assert.deepEqual(await complete(["get", "attic", ""], env), [
            "photos/",
            "holiday.mp4",
            "你好\\ 世界.txt",
        ]);
        assert.deepEqual(await complete(["get", "--to", "x", "attic", "photos/", "photos/b"], env), [
            "photos/beach.jpg",
        ]);
        assert.deepEqual(await complete(["get", id.slice(0, 5), "photos/"], env), [
            "photos/2025/",
            "photos/beach.jpg",
        ]);
        assert.deepEqual(await complete(["ls", "attic", ""], env), ["photos/"]);
        assert.deepEqual(await complete(["get", "attic", '"你好 '], env), ["你好 世界.txt"]);
        assert.deepEqual(await complete(["downloads", "re"], env), ["resume", "retry", "remove"]);
        const d = await download(own, { host: id, path: "holiday.mp4" });
        assert.deepEqual(await complete(["downloads", "pause", ""], env), [String(d.id)]);
        assert.deepEqual(await complete(["hosts", "--j"], env), ["--json"]);
        assert.deepEqual(await complete(["--lo"], env), ["--log"]);
        assert.deepEqual(await complete(["--log", "w"], env), ["warn"]);
        assert.deepEqual(await complete(["help", "sh"], env), ["share"]);
        assert.deepEqual(await complete(["settings", "sc"], env), ["scan"]);
        assert.deepEqual(await complete(["settings", "theme", ""], env), ["auto", "light", "dark"]);
        assert.deepEqual(await complete(["settings", "scan", "f"], env), ["false"]);
    });

    test("offers what is shared here to push", async (t) => {
        const { own, env } = await pair(t);
        await makeFile(join(own.shareDir, "mine.txt"), 5);
        await makeFile(join(own.shareDir, "films/a b.mkv"), 5);
        await waitFor(async () => (await own.api("/status")).json.share.files === 2);
        assert.deepEqual(await complete(["push", ""], env), ["attic"]);
        assert.deepEqual(await complete(["push", "attic", ""], env), ["films/", "mine.txt"]);
        assert.deepEqual(await complete(["push", "attic", "m"], env), ["mine.txt"]);
        assert.deepEqual(await complete(["push", "attic", "mine.txt", "films/"], env), ["films/a\\ b.mkv"]);
        assert.deepEqual(await complete(["push", "attic", "holiday"], env), []);
    });

    test("finds a name in a folder of many, and nothing deeper", async (t) => {
        const other = await startHostpair({ t, name: "attic" });
        mkdirSync(join(other.shareDir, "many/deep"), { recursive: true });
        for (let i = 0; i < 1500; i++) writeFileSync(join(other.shareDir, `many/f${i}`), "x");
        writeFileSync(join(other.shareDir, "many/needle.txt"), "x");
        writeFileSync(join(other.shareDir, "many/deep/needle.txt"), "x");
        await waitFor(async () => (await other.api("/status")).json.share.files === 1502, {
            timeout: 30_000,
        });
        const own = await startHostpair({ t, name: "own" });
        await addHost(own, other.peerPort);
        assert.deepEqual(await complete(["get", "attic", "many/nee"], asks(own)), ["many/needle.txt"]);
        assert.deepEqual(await complete(["get", "attic", "/many//de"], asks(own)), ["/many//deep/"]);
    });

    test("says nothing where no hostpair runs", async (t) => {
        const env = { HOSTPAIR_DATA: tempDir(t) };
        assert.deepEqual(await complete(["ls", ""], env), []);
        assert.deepEqual(await complete(["get", "attic", ""], env), []);
    });

    test("the Tab key writes names that bash reads back, whatever is in them", async (t) => {
        const name = 'a $(touch x) `y` "q" it\'s & 你.txt';
        const other = await sharing(t, "the attic", { [name]: { size: 9, seed: 1 } });
        const own = await startHostpair({ t, name: "own" });
        const { id } = await addHost(own, other.peerPort);
        await listed(own, id, 1);
        const cwd = tempDir(t);
        const rc = join(cwd, "rc");
        symlinkSync(own.bin, join(cwd, "hostpair"));
        writeFileSync(rc, `PS1='> '; bind 'set bell-style none'; source ${script}\n`);
        for (const typed of ["hostpair get the\ta ", 'hostpair get "the\t "a ', "hostpair get the\\ \t'a "]) {
            const env = {
                ...asks(own),
                TERM: "dumb",
                PATH: `${cwd}:${process.env.PATH}`,
                HISTFILE: undefined,
            };
            const shell = terminal(["--noprofile", "--rcfile", rc, "-i"], {
                program: "bash",
                columns: 200,
                env,
                cwd,
            });
            await shell.shows(/^> $/);
            shell.type(`${typed.trimEnd()}\t`);
            await shell.shows(/\.txt['"]? $/);
            shell.type("\n");
            await shell.shows(/^\/.*\.txt$/m);
            shell.type("exit\n");
            const { screen } = await shell.ended;
            assert.ok(rows(screen).includes(join(own.downloadsDir, name)), screen);
        }
        assert.ok(!existsSync(join(cwd, "x")), "nothing in a name was run");
    });
});
