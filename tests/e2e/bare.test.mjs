// @ts-check
// The quick start of README.md, as printed, on a bare Debian: a root made by debootstrap that holds git and nothing that
// hostpair needs. The network is this machine's, and only the package clients use it.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
    closeSync,
    copyFileSync,
    cpSync,
    existsSync,
    mkdirSync,
    openSync,
    readFileSync,
    readdirSync,
    rmSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { GiveUp, checkout, limitFile, request, tempDir, waitFor } from "./harness.mjs";

const RELEASE = "bookworm";
limitFile(25); // it fetches and builds much

/** The commands of README.md's quick start. */
function quickStart() {
    const readme = readFileSync(join(checkout, "README.md"), "utf8");
    const block = /^## Quick start\n[^]*?^```sh\n([^]*?)^```$/m.exec(readme);
    assert.ok(block, "README.md has a quick start");
    return block[1].trim().split("\n");
}

function why() {
    if (process.env.HP_E2E_QUICK) return "it takes minutes (--quick)";
    if (process.getuid?.() !== 0) return "needs root";
    if (spawnSync("debootstrap", ["--version"]).error) return "debootstrap is not installed";
    return false;
}

/** The Debian mirror that this machine's apt uses. */
function mirror() {
    const texts = [];
    for (const file of ["/etc/apt/sources.list", ...sourceFiles()])
        if (existsSync(file)) texts.push(readFileSync(file, "utf8"));
    const text = texts.join("\n");
    const found =
        /^URIs: *(\S+\/debian)\/?(?:\s|$)/m.exec(text) ??
        /^deb (?:\[[^\]]*\] )?(\S+\/debian)\/?\s/m.exec(text);
    return found?.[1] ?? "http://deb.debian.org/debian";
}

function sourceFiles() {
    const dir = "/etc/apt/sources.list.d";
    if (!existsSync(dir)) return [];
    return readdirSync(dir)
        .filter((name) => /\.(list|sources)$/.test(name))
        .map((name) => join(dir, name));
}

/** Lets apt and npm work in `root` as they do here. @param {string} root @returns {Record<string, string>} environment */
function likeThisMachine(root) {
    for (const path of [
        ...[
            "/etc/apt/sources.list",
            "/etc/apt/sources.list.d",
            "/etc/apt/apt.conf.d",
            "/etc/apt/auth.conf.d",
        ],
        ...[
            "/etc/apt/keyrings",
            "/etc/apt/trusted.gpg.d",
            "/usr/share/keyrings",
            "/etc/resolv.conf",
            "/etc/hosts",
        ],
    ])
        if (existsSync(path)) cpSync(path, join(root, path), { recursive: true, dereference: true });
    if (!existsSync("/etc/apt/sources.list")) rmSync(join(root, "/etc/apt/sources.list"), { force: true });
    const npmrc = join(homedir(), ".npmrc");
    if (existsSync(npmrc)) copyFileSync(npmrc, join(root, "root/.npmrc"));
    /** @type {Record<string, string>} */
    const env = {
        HOME: "/root",
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        LC_ALL: "C.UTF-8",
    };
    for (const [key, value] of Object.entries(process.env))
        if (value && /^(https?|ftp|no|all)_proxy$|^npm_config_(registry|.*proxy)$/i.test(key))
            env[key] = value;
    const npm = (/** @type {string} */ key) => {
        const { stdout } = spawnSync("npm", ["config", "get", key], { encoding: "utf8" });
        return stdout && !/^(null|undefined)?\s*$/.test(stdout) ? stdout.trim() : undefined;
    };
    env.npm_config_registry = npm("registry") ?? "https://registry.npmjs.org/";
    const bundle = npm("cafile") ?? process.env.NODE_EXTRA_CA_CERTS;
    if (bundle && existsSync(bundle)) {
        copyFileSync(bundle, join(root, "etc/this-machine.crt"));
        env.npm_config_cafile = env.NODE_EXTRA_CA_CERTS = "/etc/this-machine.crt";
    }
    return env;
}

test("the quick start works on a bare Debian", { skip: why(), timeout: 20 * 60_000 }, async (t) => {
    const commands = quickStart();
    assert.deepEqual(commands, ["git clone URL hostpair", "hostpair/server/run"], "two commands");

    const dir = tempDir(t);
    const root = join(dir, "root");
    const log = join(dir, "log");
    const tail = () => readFileSync(log, "utf8").slice(-6000);
    const out = openSync(log, "a");
    t.after(() => closeSync(out));

    const start = performance.now();
    const seconds = () => ((performance.now() - start) / 1000).toFixed(0);
    const made = spawnSync("debootstrap", ["--variant=minbase", "--include=git", RELEASE, root, mirror()], {
        stdio: ["ignore", out, out],
    });
    assert.equal(made.status, 0, tail());
    t.diagnostic(`debootstrap: ${seconds()} s`);
    const env = likeThisMachine(root);
    mkdirSync(join(root, "srv"), { recursive: true });
    execFileSync("git", [
        "clone",
        "--quiet",
        "--bare",
        "--no-hardlinks",
        checkout,
        join(root, "srv/hostpair.git"),
    ]);
    for (const program of ["gcc", "cmake", "node", "npm"])
        assert.notEqual(
            spawnSync("chroot", [root, "which", program], { env }).status,
            0,
            `${program} is not there yet`,
        );

    // As printed, but for the address, which README.md cannot know, and the options that keep it off the network.
    const options =
        "--no-scan --no-beacon --peer-listen 127.0.0.1:0 --dashboard-listen 127.0.0.1:0 --port-file /root/ports.json";
    const script = `cd\n${commands[0].replace("URL", "/srv/hostpair.git")}\nexec ${commands[1]} ${options}\n`;
    const inside =
        'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /bin/bash -euc "$1"';
    const child = spawn(
        "unshare",
        ["--mount", "--propagation", "private", "sh", "-c", inside, root, script],
        {
            env,
            stdio: ["ignore", out, out],
        },
    );
    const exited = new Promise((done) => child.on("exit", (code, signal) => done({ code, signal })));
    let running = true;
    exited.then(() => (running = false));
    const kill = () => running && child.kill("SIGKILL");
    process.once("exit", kill);
    t.after(async () => {
        kill();
        await exited;
        process.off("exit", kill);
    });

    const ports = await waitFor(
        () => {
            if (!running) throw new GiveUp(`server/run ended:\n${tail()}`);
            return JSON.parse(readFileSync(join(root, "root/ports.json"), "utf8"));
        },
        { timeout: 18 * 60_000, interval: 200, what: "the port file", detail: tail },
    );
    t.diagnostic(`installed, built and started: ${seconds()} s`);
    const hello = await request(`http://127.0.0.1:${ports.peer}/hostpair`);
    assert.equal(hello.status, 200);
    assert.match(String(hello.headers["hostpair-id"]), /^[0-9a-f]{32}$/);
    const page = await request(`http://127.0.0.1:${ports.dashboard}/`);
    assert.equal(page.status, 200);
    assert.match(page.text, /<html/i);
    child.kill("SIGTERM");
    assert.deepEqual(await exited, { code: 0, signal: null }, tail());
});
