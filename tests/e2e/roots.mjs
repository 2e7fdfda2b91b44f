// @ts-check
// Roots of bare Debian releases, in memory, in which apt and npm work as they do on this machine.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
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
    writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { checkout, tempDir } from "./harness.mjs";

/** The releases that the README names, by their code names. */
export const RELEASES = { "Debian 12": "bookworm", "Debian 13": "trixie" };

/** Why no root can be made here, or false. */
export function whyNoRoot() {
    if (process.env.HP_E2E_QUICK) return "it takes minutes (--quick)";
    if (process.getuid?.() !== 0) return "needs root";
    if (spawnSync("debootstrap", ["--version"]).error) return "debootstrap is not installed";
    return false;
}

/** Gives the root this machine's mirrors of Debian, for the root's own release. @param {string} root @param {string} release */
function aptSources(root, release) {
    const files = ["/etc/apt/sources.list"];
    const folder = "/etc/apt/sources.list.d";
    if (existsSync(folder)) for (const name of readdirSync(folder)) files.push(join(folder, name));
    const lines = new Set();
    for (const file of files.filter((f) => /\.(list|sources)$/.test(f) && existsSync(f))) {
        const text = readFileSync(file, "utf8");
        for (const [, uri] of text.matchAll(
            /^(?:URIs:|deb (?:\[[^\]]*\] )?) *(\S+\/debian(?:-security)?)\/?(?:\s|$)/gm,
        ))
            if (uri.endsWith("-security")) lines.add(`deb ${uri} ${release}-security main`);
            else lines.add(`deb ${uri} ${release} main`).add(`deb ${uri} ${release}-updates main`);
    }
    if (lines.size > 0) writeFileSync(join(root, "etc/apt/sources.list"), [...lines].join("\n") + "\n");
    writeFileSync(join(root, "etc/apt/apt.conf.d/99retries"), 'Acquire::Retries "3";\n');
}

/** Lets apt and npm work in `root` as they do here. @param {string} root @returns {Record<string, string>} environment */
function likeThisMachine(root) {
    for (const path of [
        "/etc/apt/apt.conf.d",
        "/etc/apt/auth.conf.d",
        "/etc/apt/keyrings",
        "/etc/resolv.conf",
        "/etc/hosts",
    ])
        if (existsSync(path)) cpSync(path, join(root, path), { recursive: true, dereference: true });
    const npmrc = join(homedir(), ".npmrc");
    if (existsSync(npmrc)) copyFileSync(npmrc, join(root, "root/.npmrc"));
    /** @type {Record<string, string>} */
    const env = {
        HOME: "/root",
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        LC_ALL: "C.UTF-8",
        DEBIAN_FRONTEND: "noninteractive",
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

/**
 * A fresh root of the release, gone with the test. What runs in it writes to one log.
 * @param {import("node:test").TestContext} t @param {string} release
 */
export async function bareRoot(t, release) {
    const dir = tempDir(); // removed below, once nothing is mounted in it
    const path = join(dir, "root");
    const log = join(dir, "log");
    const out = openSync(log, "a");
    mkdirSync(path);
    const archive = spawnSync(join(checkout, "tests/bare-root"), [release], { encoding: "utf8" });
    assert.equal(archive.status, 0, archive.stderr);
    const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=6g,mode=755,dev", "tmpfs", path]);
    assert.equal(mount.status, 0, String(mount.stderr));
    const children = new Set();
    const clean = () => {
        for (const child of children) child.kill("SIGKILL");
        spawnSync("umount", ["--lazy", path]);
    };
    process.prependOnceListener("exit", clean);
    t.after(async () => {
        for (const child of children) child.kill("SIGKILL");
        await Promise.all([...children].map((child) => child.exited));
        clean();
        process.off("exit", clean);
        closeSync(out);
        rmSync(dir, { recursive: true, force: true });
    });
    const unpacked = spawnSync("tar", ["-xf", archive.stdout.trim(), "-C", path]);
    assert.equal(unpacked.status, 0, String(unpacked.stderr));
    const env = likeThisMachine(path);
    aptSources(path, release);

    /** Starts a bash script in the root. @param {string} script @param {object} [options] */
    const start = (script, options = {}) => {
        const inside =
            'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /bin/bash -euc "$1"';
        const child = spawn(
            "unshare",
            ["--mount", "--propagation", "private", "sh", "-c", inside, path, script],
            {
                env: { ...env, ...options },
                stdio: ["ignore", out, out],
            },
        );
        const exited = new Promise((done) =>
            child.on("exit", (code, signal) => {
                children.delete(entry);
                done({ code, signal });
            }),
        );
        const entry = Object.assign(child, { exited });
        children.add(entry);
        return entry;
    };
    const tail = () => readFileSync(log, "utf8").slice(-6000);
    return {
        path,
        env,
        tail,
        start,
        /** Runs a bash script in the root, which must end well. @param {string} script */
        async run(script) {
            const { code, signal } = await start(script).exited;
            assert.equal(code, 0, `${script}\nended with ${code ?? signal}:\n${tail()}`);
        },
        /** What a bash script prints. @param {string} script */
        output(script) {
            return spawnSync("chroot", [path, "/bin/bash", "-euc", script], { env, encoding: "utf8" });
        },
    };
}
