// Two homes with a hostpair each, and a hub of hostpair's own on the internet between them: what tests about groups begin with.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultBin, tempDir, waitFor } from "../e2e/harness.mjs";
import { NatLab } from "./nat.mjs";

export const HUB = "203.0.113.9";
export const MiB = 1 << 20;

/** The lab with hostpair's own hub, and hostpair itself as the machines. */
export class Homes extends NatLab {
    /** Further arguments of the hub. @type {string[]} */
    hubArgs = [];
    /** A command that runs the hub, such as ["prlimit", "--nofile=200"]. @type {string[]} */
    hubWrap = [];

    async spawnHub() {
        this.hubData = tempDir();
        await this.startHub();
    }

    async listen() {}

    async startHub() {
        const args = ["hub", "--listen", `${HUB}:9010`, "--data", this.hubData ?? "", ...this.hubArgs];
        this.hub = this.program("hub", args, this.hubWrap);
        await waitFor(() => this.hub?.log().includes("fingerprint"), {
            what: "the hub",
            detail: () => this.hub?.log(),
        });
    }

    /** @param {string} where @param {string[]} args @param {string[]} [wrap] */
    program(where, args, wrap = []) {
        const child = spawn("ip", ["netns", "exec", this.ns(where), ...wrap, defaultBin, ...args], {
            stdio: ["ignore", "ignore", "pipe"],
            env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0" },
        });
        let log = "";
        child.stderr.on("data", (piece) => (log += piece));
        const exited = new Promise((done) => child.on("close", done));
        const stop = async (/** @type {NodeJS.Signals} */ signal = "SIGKILL") => {
            child.kill(signal);
            await exited;
        };
        this.stops.push(() => stop());
        return { log: () => log, stop };
    }

    /** @param {"a" | "b"} side @param {string} name @param {string} [kept] the folder of an earlier start */
    async home(side, name, kept) {
        const folder = kept ?? tempDir();
        for (const sub of ["share", "downloads", "data"]) mkdirSync(join(folder, sub), { recursive: true });
        const folders = ["share", "downloads", "data"].flatMap((sub) => [`--${sub}`, join(folder, sub)]);
        // prettier-ignore
        const self = this.program(side, ["--no-scan", "--no-beacon", "--no-port-mapping", "--name", name, ...folders]);
        /** @param {string} path @param {object} [json] @param {string} [method] */
        const api = (path, json, method) => {
            const body = [...(json ? ["-d", JSON.stringify(json)] : []), ...(method ? ["-X", method] : [])];
            return JSON.parse(
                this.on(side, "curl", "-sS", "-m", "20", ...body, `http://127.0.0.1:9001/api/v1${path}`),
            );
        };
        const run = (/** @type {string[]} */ ...words) =>
            this.on(side, defaultBin, ...words, "--data", join(folder, "data"));
        await waitFor(
            () => {
                try {
                    return api("/status").id;
                } catch {
                    return false;
                }
            },
            { what: name, detail: self.log },
        );
        const metrics = () => this.on(side, "curl", "-sS", "-m", "20", "http://127.0.0.1:9001/metrics");
        return { ...self, api, run, metrics, folder, id: api("/status").id };
    }

    /** Two homes in one group, each of which sees the other. */
    async pair() {
        const [a, b] = [await this.home("a", "anna"), await this.home("b", "ben")];
        const invite = a.run("group", "create", "--hub", HUB, "friends").trim();
        assert.match(invite, /^hostpair:\/\/join\//);
        const begun = Date.now();
        assert.match(b.run("group", "join", invite), /Joined/);
        for (const [one, other] of [
            [a, b],
            [b, a],
        ])
            await waitFor(() => one.api(`/hosts/${other.id}`).state === "online", {
                timeout: 40_000,
                what: "one to see the other",
                detail: one.log,
            });
        this.t.diagnostic?.(`each sees the other ${Date.now() - begun} ms after the invite was taken`);
        return { a, b };
    }
}

/** @typedef {Awaited<ReturnType<Homes["home"]>>} Home */

/** Bytes of files that a home has received since its start. @param {Home} home */
const received = (home) => Number(/^hostpair_received_bytes_total (\d+)$/m.exec(home.metrics())?.[1]);

/**
 * Downloads a file of `from` at `to`, and compares it. Next to nothing may come twice: what was in flight when the way broke,
 * and what had come in the last 250 ms, for every time that it broke.
 * @param {Home} to @param {Home} from @param {string} name
 * @param {(done: () => number) => unknown} [midway] what happens after 2 MiB; done: bytes that are there
 * @param {{ rate?: number, breaks?: number, timeout?: number }} [options] Mbit/s of the line, and how often the way breaks
 */
export async function fetchFile(to, from, name, midway, { rate = 40, breaks = 1, timeout = 90_000 } = {}) {
    const before = received(to);
    const begun = Date.now();
    const { id } = to.api("/downloads", { host: from.id, path: name });
    if (midway) {
        await waitFor(() => to.api(`/downloads/${id}`).done_bytes > 2 * MiB, {
            timeout: 30_000,
            what: "its first bytes",
            detail: to.log,
        });
        await midway(() => to.api(`/downloads/${id}`).done_bytes);
    }
    const done = await waitFor(
        () => {
            const d = to.api(`/downloads/${id}`);
            return ["done", "failed"].includes(d.state) && d;
        },
        {
            timeout,
            interval: 100,
            what: "the download",
            detail: () => JSON.stringify(to.api(`/downloads/${id}`)) + to.log(),
        },
    );
    assert.equal(done.state, "done", JSON.stringify(done.error));
    const digest = (/** @type {string} */ path) =>
        createHash("sha256").update(readFileSync(path)).digest("hex");
    assert.equal(digest(join(to.folder, "downloads", done.path)), digest(join(from.folder, "share", name)));
    const { connections_per_source: connections } = to.api("/settings");
    const twice = received(to) - before - done.size;
    const bound = (breaks + 1) * 2 * connections * (done.chunk_size ?? 0) + (breaks * rate * 1e6) / 8 / 4;
    assert.ok(twice <= bound, `${twice} bytes of ${name} came twice, more than ${bound}`);
    const seconds = (Date.now() - begun) / 1000;
    return `${name}: ${seconds.toFixed(1)} s, ${(twice / MiB).toFixed(2)} MiB twice, of ${(bound / MiB).toFixed(1)} allowed`;
}

/** @param {Home} home @param {string} name @param {number} size */
export const offer = (home, name, size) => writeFileSync(join(home.folder, "share", name), randomBytes(size));

/** @param {Home} one @param {Home} other @param {string} path @param {number} [timeout] */
export const reaches = (one, other, path, timeout = 20_000) =>
    waitFor(() => one.api(`/hosts/${other.id}`).path === path, {
        timeout,
        what: `the path ${path}`,
        detail: () => JSON.stringify(one.api(`/hosts/${other.id}`)) + one.log(),
    });
