// The main job: two hostpairs in two home networks, behind two routers, with a hub on the internet between them. One makes a
// group, the other joins with the invite; each sees the other, browses, downloads and writes.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { defaultBin, tempDir, waitFor } from "../e2e/harness.mjs";
import { NatLab, whyNoNat } from "./nat.mjs";

const skip = whyNoNat() || undefined;
const HUB = "203.0.113.9";
const MiB = 1 << 20;

/** The lab with hostpair's own hub, and hostpair itself as the machines. */
class Homes extends NatLab {
    async spawnHub() {
        this.hubData = tempDir();
        await this.startHub();
    }

    async listen() {}

    async startHub() {
        this.hub = this.program("hub", ["hub", "--listen", `${HUB}:9010`, "--data", this.hubData ?? ""]);
        await waitFor(() => this.hub?.log().includes("fingerprint"), {
            what: "the hub",
            detail: () => this.hub?.log(),
        });
    }

    /** @param {string} where @param {string[]} args */
    program(where, args) {
        const child = spawn("ip", ["netns", "exec", this.ns(where), defaultBin, ...args], {
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

    /** @param {"a" | "b"} side @param {string} name */
    async home(side, name) {
        const folder = tempDir();
        for (const sub of ["share", "downloads", "data"]) mkdirSync(join(folder, sub));
        const folders = ["share", "downloads", "data"].flatMap((sub) => [`--${sub}`, join(folder, sub)]);
        // prettier-ignore
        const self = this.program(side, ["--no-scan", "--no-beacon", "--no-port-mapping", "--name", name, ...folders]);
        const api = (/** @type {string} */ path, /** @type {object | undefined} */ json = undefined) => {
            const body = json ? ["-d", JSON.stringify(json)] : [];
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
        return { ...self, api, run, folder, id: api("/status").id };
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
                timeout: 20_000,
                what: "one to see the other",
                detail: one.log,
            });
        this.t.diagnostic?.(`each sees the other ${Date.now() - begun} ms after the invite was taken`);
        return { a, b };
    }
}

/** @typedef {Awaited<ReturnType<Homes["home"]>>} Home */

/** Downloads a file of `from` at `to` and compares it. @param {Home} to @param {Home} from @param {string} name @param {() => Promise<void>} [midway] */
async function fetchFile(to, from, name, midway) {
    const { id } = to.api("/downloads", { host: from.id, path: name });
    if (midway) {
        await waitFor(() => to.api(`/downloads/${id}`).done_bytes > 2 * MiB, {
            timeout: 30_000,
            what: "its first bytes",
            detail: to.log,
        });
        await midway();
    }
    const done = await waitFor(
        () => {
            const d = to.api(`/downloads/${id}`);
            return ["done", "failed"].includes(d.state) && d;
        },
        {
            timeout: 90_000,
            interval: 200,
            what: "the download",
            detail: () => JSON.stringify(to.api(`/downloads/${id}`)) + to.log(),
        },
    );
    assert.equal(done.state, "done", JSON.stringify(done.error));
    const digest = (/** @type {string} */ path) =>
        createHash("sha256").update(readFileSync(path)).digest("hex");
    assert.equal(digest(join(to.folder, "downloads", done.path)), digest(join(from.folder, "share", name)));
}

/** @param {Home} home @param {string} name @param {number} size */
const offer = (home, name, size) => writeFileSync(join(home.folder, "share", name), randomBytes(size));

/** @param {Home} one @param {Home} other @param {string} path */
const reaches = (one, other, path) =>
    waitFor(() => one.api(`/hosts/${other.id}`).path === path, {
        timeout: 20_000,
        what: `the path ${path}`,
        detail: () => JSON.stringify(one.api(`/hosts/${other.id}`)) + one.log(),
    });

test("two homes behind two routers share directly", { skip, timeout: 180_000 }, async (t) => {
    const lab = new Homes(t);
    await lab.up({ a: "preserving", b: "preserving-reject" });
    const { a, b } = await lab.pair();
    offer(a, "film.bin", 12 * MiB);
    offer(a, "small.txt", 3000);
    await reaches(b, a, "direct");
    await waitFor(() => b.api(`/hosts/${a.id}/files`).files?.length === 2, {
        timeout: 90_000,
        what: "the list",
        detail: () => JSON.stringify(b.api(`/hosts/${a.id}`)),
    });
    await fetchFile(b, a, "film.bin");
    await fetchFile(b, a, "small.txt");
    assert.match(b.run("hosts"), /anna/);
    b.run("send", "anna", "It works");
    await waitFor(() => a.api("/messages").messages.some((/** @type {any} */ m) => m.text === "It works"), {
        what: "the message",
    });
});

test(
    "a download goes on when a router forgets, and without the hub",
    { skip, timeout: 240_000 },
    async (t) => {
        const lab = new Homes(t, { a: { rate: 40, queue: 300 } });
        await lab.up({ a: "preserving", b: "preserving" });
        const { a, b } = await lab.pair();
        offer(a, "film.bin", 24 * MiB);
        await reaches(b, a, "direct");
        await fetchFile(b, a, "film.bin", async () => lab.flush("b"));
        offer(a, "second.bin", 16 * MiB);
        await reaches(b, a, "direct");
        await fetchFile(b, a, "second.bin", async () => lab.hub?.stop());
        // The router forgot the connection to the hub as well: that it is silent is noticed by its missing pings.
        await waitFor(() => b.api("/groups").groups[0].state !== "connected", {
            timeout: 90_000,
            what: "the hub to be missed",
            detail: () => JSON.stringify(b.api("/groups")) + b.log(),
        });
        await lab.startHub();
        await waitFor(() => b.api("/groups").groups[0].state === "connected", {
            timeout: 90_000,
            what: "the hub to be back",
        });
    },
);

test(
    "two routers that change every port share through the relay, and say why",
    { skip, timeout: 180_000 },
    async (t) => {
        const lab = new Homes(t);
        await lab.up({ a: "random", b: "fully-random" });
        const { a, b } = await lab.pair();
        offer(b, "photo.bin", 6 * MiB);
        await reaches(a, b, "relayed");
        await fetchFile(a, b, "photo.bin");
        await waitFor(() => a.api(`/hosts/${b.id}`).path_reason?.includes("both networks change ports"), {
            timeout: 20_000,
            what: "the reason",
            detail: () => JSON.stringify(a.api(`/hosts/${b.id}`)),
        });
    },
);

test("a home without UDP shares through the relay", { skip, timeout: 180_000 }, async (t) => {
    const lab = new Homes(t);
    await lab.up({ a: "blocked", b: "dmz" });
    const { a, b } = await lab.pair();
    offer(b, "photo.bin", 3 * MiB);
    await reaches(a, b, "relayed");
    await fetchFile(a, b, "photo.bin");
    assert.ok(a.api(`/hosts/${b.id}`).path_reason, "a sentence says why");
});
