// @ts-check
// Starts hostpair processes for the end-to-end tests and talks to them.
//
// Every process gets its own temporary folder (share, downloads, data, home), ports of its own on 127.0.0.1, and neither
// scan nor beacon. Pass `t`, the test's context, and it is stopped and its folder removed when the test ends; a process
// that crashed, that a sanitizer complained about, or that did not end with code 0 fails that test.
//
//   const a = await startHostpair({ t, name: "a" });
//   await makeFile(join(a.shareDir, "big.bin"), 100 * MiB, 1);
//   const b = await startHostpair({ t, name: "b" });
//   const host = await addHost(b, a.peerPort);
//   const d = await download(b, { host: host.id, path: "big.bin" });
//   await waitState(b, d.id, "done");
//
// HOSTPAIR_BIN names the program (default: build/hostpair in the checkout), HP_E2E_VERBOSE=1 shows what it logs,
// HP_E2E_KEEP=1 leaves the folders behind.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import { dashboards, request, sse } from "./http.mjs";
import { identityIn, register } from "./identities.mjs";

export { request, sse };

export const MiB = 1024 * 1024;
export const checkout = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
export const defaultBin = resolve(process.env.HOSTPAIR_BIN || join(checkout, "build/hostpair"));

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const KEPT_LOG_BYTES = 4 * MiB;
const SANITIZER =
    /(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL/;

/**
 * @typedef {{ after(fn: () => unknown): unknown }} TestContext  what the harness uses of node:test's context
 *
 * @typedef {object} StartOptions
 * @property {TestContext} [t] stop and clean up when this test ends
 * @property {string} [name] --name
 * @property {string} [share] --share; default: a new folder
 * @property {string} [downloads] --downloads; default: a new folder
 * @property {string} [data] --data; default: a new folder
 * @property {string[]} [args] further arguments; --peer-listen and --dashboard-listen replace the default ones
 * @property {boolean} [defaultPorts] give no --peer-listen and no --dashboard-listen: only in a network of its own
 * @property {boolean} [beacon] leave out --no-beacon, which switches LocalSend off as well: only in a network of its own
 * @property {boolean} [defaultFolders] give no --share, --downloads, --data: they are then below the home folder
 * @property {Record<string, string | undefined>} [env] further environment variables; undefined removes one
 * @property {string} [bin] the program; default: HOSTPAIR_BIN
 * @property {boolean} [released] it is an older version, whose answers this version's openapi.yaml does not describe
 * @property {string[]} [wrap] a command that runs the program, such as ["prlimit", "--nofile=64"]; it must exec it
 *
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null }} Exit
 *
 * @typedef {import("./http.mjs").Reply} Reply
 * @typedef {import("./http.mjs").RequestOptions} RequestOptions
 *
 * @typedef {Awaited<ReturnType<typeof startHostpair>>} Hostpair
 */

/**
 * Asks again until `fn` returns something truthy, and returns that.
 * @template T
 * @param {() => T | Promise<T>} fn an exception counts as "not yet" and is shown when the time is over
 * @param {{ timeout?: number, interval?: number, what?: string, detail?: () => unknown }} [options]
 * @returns {Promise<Exclude<NonNullable<T>, false | 0 | "">>}
 */
export async function waitFor(fn, { timeout = 30_000, interval = 25, what = "a condition", detail } = {}) {
    const end = performance.now() + timeout;
    /** @type {unknown} */
    let last;
    for (;;) {
        try {
            const value = await fn();
            if (value) return /** @type {Exclude<NonNullable<T>, false | 0 | "">} */ (value);
            last = value;
        } catch (error) {
            if (error instanceof GiveUp) throw error;
            last = error;
        }
        if (performance.now() > end) {
            const more = detail ? `; ${show(await detail())}` : "";
            throw new Error(`waited ${timeout} ms for ${what}; last seen: ${show(last)}${more}`);
        }
        await sleep(interval);
    }
}

/** Thrown inside a waitFor to end it at once. */
export class GiveUp extends Error {}

/** @param {unknown} value */
function show(value) {
    if (value instanceof Error) return value.stack ?? value.message;
    if (typeof value === "string") return value;
    return JSON.stringify(value);
}

/** @param {number} ms */
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * A folder that is removed when the test ends, or when this process ends.
 * @param {TestContext} [t]
 */
export function tempDir(t) {
    const dir = mkdtempSync(join(process.env.HP_E2E_TMP || tmpdir(), "hostpair-e2e-"));
    const remove = () => {
        if (!process.env.HP_E2E_KEEP) rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    };
    process.once("exit", remove);
    t?.after(() => {
        process.off("exit", remove);
        remove();
    });
    return dir;
}
process.setMaxListeners(0);
// A run that is broken off leaves neither processes nor folders behind: what is registered for "exit" is done.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

/**
 * Ends this test file, as failed, when it is not done in time: a test that hangs must not hang the run. In a thread of its own,
 * since the one of the tests may wait for a program.
 * @param {number} minutes
 */
export function limitFile(minutes) {
    limit?.terminate();
    if (!process.env.NODE_TEST_CONTEXT) return;
    const code = `
        const { writeSync } = require("node:fs");
        const { workerData } = require("node:worker_threads");
        setTimeout(() => {
            writeSync(2, workerData.file + " is not done after " + workerData.minutes + " minutes: one of its tests hangs\\n");
            process.kill(process.pid, "SIGTERM");
            setTimeout(() => process.kill(process.pid, "SIGKILL"), 10_000);
        }, workerData.minutes * 60_000);`;
    limit = new Worker(code, { eval: true, workerData: { file: process.argv[1], minutes } });
    limit.unref();
}
/** @type {Worker | undefined} */
let limit;
// The slowest file takes a minute and a half on a machine of its own, and five minutes on one with four times as much to do.
limitFile(15);

/** @param {Record<string, string | undefined>} [extra] @param {string} [home] @param {string} [sanitizerLog] */
function environment(extra = {}, home, sanitizerLog) {
    /** @type {Record<string, string | undefined>} */
    const env = {};
    for (const [key, value] of Object.entries(process.env))
        if (!key.startsWith("HOSTPAIR_")) env[key] = value;
    for (const key of Object.keys(env)) if (key.startsWith("XDG_")) delete env[key];
    if (home) env.HOME = home;
    const log = sanitizerLog ? `:log_path=${sanitizerLog}` : "";
    env.ASAN_OPTIONS = `detect_leaks=1:abort_on_error=0:exitcode=86${log}`;
    env.UBSAN_OPTIONS = `halt_on_error=1:print_stacktrace=1${log}`;
    const suppressions = join(checkout, "tests/tsan.supp");
    env.TSAN_OPTIONS = `suppressions=${suppressions}:exitcode=86:second_deadlock_stack=1${log}`;
    for (const [key, value] of Object.entries(extra)) {
        if (value === undefined) delete env[key];
        else env[key] = value;
    }
    return env;
}

/** Options that keep a process which should not start at all from doing harm if it does. @param {string} dir */
export const harmless = (dir) => [
    ...["--peer-listen", "127.0.0.1:0", "--dashboard-listen", "127.0.0.1:0", "--no-scan", "--no-beacon"],
    ...["--share", join(dir, "s"), "--downloads", join(dir, "d"), "--data", join(dir, "data")],
];

/**
 * What the sanitizers wrote below `dir`, or an empty string.
 * @param {string} dir
 */
function sanitizerFiles(dir) {
    if (!existsSync(dir)) return "";
    return readdirSync(dir)
        .filter((name) => name.startsWith("sanitizer."))
        .map((name) => readFileSync(join(dir, name), "utf8"))
        .join("\n");
}

/**
 * Runs the program to its end, for calls that are refused or that only print something.
 * @param {string[]} args
 * @param {{ env?: Record<string, string | undefined>, bin?: string, timeout?: number, home?: string, wrap?: string[] }} [options]
 * @returns {Promise<Exit & { stdout: string, stderr: string }>}
 */
export function runHostpair(args, { env, bin = defaultBin, timeout = 20_000, home, wrap = [] } = {}) {
    const ownHome = home ?? tempDir();
    return new Promise((done, fail) => {
        const command = [...wrap, bin, ...args];
        const child = spawn(command[0], command.slice(1), {
            env: environment(env, ownHome),
            stdio: ["ignore", "pipe", "pipe"],
        });
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
        child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
        let late = false;
        const timer = setTimeout(() => {
            late = true;
            child.kill("SIGKILL");
        }, timeout);
        child.on("error", fail);
        child.on("close", (code, signal) => {
            clearTimeout(timer);
            if (!home) rmSync(ownHome, { recursive: true, force: true });
            const line = `${command.join(" ")}\n${stderr}`;
            if (late) fail(new Error(`still running after ${timeout} ms: ${line}`));
            else if (SANITIZER.test(stderr)) fail(new Error(`a sanitizer complained: ${line}`));
            else done({ code, signal, stdout, stderr });
        });
    });
}

/**
 * Starts one hostpair and waits until both listeners are up.
 * @param {StartOptions} [options]
 */
export async function startHostpair(options = {}) {
    const {
        t,
        name,
        args = [],
        env = {},
        bin = defaultBin,
        released = false,
        wrap = [],
        defaultFolders,
        defaultPorts,
        beacon,
    } = options;
    if (!existsSync(bin)) throw new Error(`there is no program ${bin}: build it, or set HOSTPAIR_BIN`);
    const root = tempDir();
    const home = join(root, "home");
    await mkdir(home);
    const inHome = (/** @type {string} */ path) => (defaultFolders ? join(home, path) : undefined);
    const shareDir = inHome("Public/hostpair") ?? options.share ?? join(root, "share");
    const downloadsDir = inHome("Downloads/hostpair") ?? options.downloads ?? join(root, "downloads");
    const dataDir = inHome(".local/state/hostpair") ?? options.data ?? join(root, "data");
    if (!defaultFolders)
        for (const dir of [shareDir, downloadsDir, dataDir]) await mkdir(dir, { recursive: true });
    const portFile = join(root, "ports.json");
    const given = (/** @type {string} */ flag) => args.some((a) => a === flag || a.startsWith(`${flag}=`));

    /** @type {import("node:child_process").ChildProcess | undefined} */
    let child;
    /** @type {Promise<Exit>} */
    let exited = Promise.resolve({ code: null, signal: null });
    let running = false;
    let killedByTest = false;
    let log = "";
    let disposed = false;
    const self = {
        /** TCP port of the peer listener */
        peerPort: 0,
        /** TCP port of the dashboard listener */
        dashboardPort: 0,
        peerUrl: "",
        dashboardUrl: "",
        pid: 0,
        root,
        home,
        shareDir,
        downloadsDir,
        dataDir,
        name: name ?? "",
        bin,
        /** All that it logged, over all its starts. */
        stderr: () => log,
        /** Whether it runs now. */
        running: () => running,
        /** How the last process ended. */
        get exited() {
            return exited;
        },
        /**
         * A call of the dashboard's API: `api("/downloads", { json: {...} })`. A path that starts with /api or /metrics
         * is taken as it is, any other one is below /api/v1.
         * @param {string} path
         * @param {RequestOptions} [init]
         */
        api: (path, init) => request(apiUrl(path), init),
        apiUrl,
        /** @param {string} path @param {RequestOptions} [init] */
        peer: (path, init) => request(self.peerUrl + path, init),
        /** The event stream of the dashboard. @param {{ lastEventId?: string, headers?: Record<string, string> }} [init] */
        events: (init) => sse(apiUrl("/events"), init),
        stop,
        kill9,
        restart,
        start,
        dispose,
    };

    /** @param {string} path */
    function apiUrl(path) {
        const whole = /^\/(api|metrics)\b/.test(path) ? path : `/api/v1${path}`;
        return `http://127.0.0.1:${self.dashboardPort}${whole}`;
    }

    async function start() {
        rmSync(portFile, { force: true });
        self.peerPort ||= await freePort();
        self.dashboardPort ||= await freePort();
        const command = [...wrap, bin];
        if (!defaultPorts && !given("--peer-listen"))
            command.push("--peer-listen", `127.0.0.1:${self.peerPort}`);
        if (!defaultPorts && !given("--dashboard-listen"))
            command.push("--dashboard-listen", `127.0.0.1:${self.dashboardPort}`);
        if (!defaultFolders)
            command.push("--share", shareDir, "--downloads", downloadsDir, "--data", dataDir);
        command.push("--port-file", portFile, "--no-scan");
        if (!beacon) command.push("--no-beacon");
        if (name !== undefined) command.push("--name", name);
        command.push(...args);
        const process_ = spawn(command[0], command.slice(1), {
            env: environment(env, home, join(root, "sanitizer")),
            stdio: ["ignore", "pipe", "pipe"],
        });
        child = process_;
        running = true;
        killedByTest = false;
        self.pid = process_.pid ?? 0;
        for (const stream of [process_.stdout, process_.stderr])
            stream.setEncoding("utf8").on("data", (text) => {
                log = (log + text).slice(-KEPT_LOG_BYTES);
                if (process.env.HP_E2E_VERBOSE) process.stderr.write(`[${name ?? self.pid}] ${text}`);
            });
        exited = new Promise((done) => {
            process_.on("error", (error) => {
                log += `${error.message}\n`;
                running = false;
                done({ code: null, signal: null });
            });
            process_.on("close", (code, signal) => {
                running = false;
                done({ code, signal });
            });
        });
        const ports = await waitFor(
            async () => {
                if (!running) throw new GiveUp(`it ended at start: ${show(await exited)}\n${tail()}`);
                return JSON.parse(readFileSync(portFile, "utf8"));
            },
            { timeout: START_TIMEOUT_MS, what: "the port file", detail: tail },
        );
        self.peerPort = ports.peer;
        self.dashboardPort = ports.dashboard;
        if (!released) dashboards.add(String(ports.dashboard));
        register(ports.peer, () => identityIn(dataDir));
        self.peerUrl = `http://127.0.0.1:${ports.peer}`;
        self.dashboardUrl = `http://127.0.0.1:${ports.dashboard}`;
    }

    function tail() {
        return `its log ends with:\n${log.slice(-4000)}${sanitizerFiles(root)}`;
    }

    function checkSanitizers() {
        const files = sanitizerFiles(root);
        if (files || SANITIZER.test(log))
            throw new Error(`a sanitizer complained about ${name ?? bin}:\n${tail()}`);
    }

    /** Ends it with SIGTERM as a person would; throws unless it ends with code 0 and no complaint of a sanitizer. */
    async function stop() {
        if (!child) return;
        if (running) child.kill("SIGTERM");
        const timer = setTimeout(() => child?.kill("SIGKILL"), STOP_TIMEOUT_MS);
        const { code, signal } = await exited;
        clearTimeout(timer);
        checkSanitizers();
        if (code !== 0 && !killedByTest)
            throw new Error(`${name ?? "hostpair"} ended with code ${code}, signal ${signal}: ${tail()}`);
    }

    /** Ends it without a warning, as a power cut would. */
    async function kill9() {
        if (!running) throw new Error(`it had ended before it was killed: ${show(await exited)}\n${tail()}`);
        killedByTest = true;
        child?.kill("SIGKILL");
        await exited;
        checkSanitizers();
    }

    /** Stops it if it runs, and starts it again with the same folders on the same ports. */
    async function restart() {
        if (running) await stop();
        await start();
    }

    async function dispose() {
        if (disposed) return;
        disposed = true;
        process.off("exit", killNow);
        try {
            await stop();
        } finally {
            if (!process.env.HP_E2E_KEEP) await rm(root, { recursive: true, force: true, maxRetries: 3 });
        }
    }

    function killNow() {
        if (running) child?.kill("SIGKILL");
    }

    process.once("exit", killNow);
    t?.after(dispose);
    await start();
    return self;
}

/**
 * Fills a buffer with the next bytes of a pseudo-random sequence; the same seed gives the same bytes everywhere.
 * @param {number} seed
 */
function generator(seed) {
    let x = (seed * 2654435761 + 0x9e3779b9) >>> 0 || 1;
    return (/** @type {Buffer} */ out) => {
        const words = new Uint32Array(out.buffer, out.byteOffset, out.byteLength >> 2);
        for (let i = 0; i < words.length; i++) {
            x ^= x << 13;
            x ^= x >>> 17;
            x ^= x << 5;
            words[i] = x;
        }
        for (let i = words.length * 4; i < out.byteLength; i++) out[i] = (x >>> ((i & 3) * 8)) & 255;
        x >>>= 0;
    };
}

/**
 * Writes a file of pseudo-random bytes, with its folders; the same size and seed give the same bytes.
 * @param {string} path
 * @param {number} size
 * @param {number} [seed]
 */
export async function makeFile(path, size, seed = 1) {
    await mkdir(dirname(path), { recursive: true });
    const next = generator(seed);
    const block = Buffer.from(new ArrayBuffer(MiB));
    const file = await open(path, "w");
    try {
        for (let at = 0; at < size; at += MiB) {
            const part = block.subarray(0, Math.min(MiB, size - at));
            next(part);
            await file.write(part);
        }
    } finally {
        await file.close();
    }
    return path;
}

/** The bytes that makeFile would write. @param {number} size @param {number} [seed] */
export function makeBytes(size, seed = 1) {
    const next = generator(seed);
    const whole = Buffer.from(new ArrayBuffer(size));
    for (let at = 0; at < size; at += MiB) next(whole.subarray(at, Math.min(size, at + MiB)));
    return whole;
}

/** @param {string} path @returns {Promise<string>} */
export function sha256(path) {
    return new Promise((done, fail) => {
        const hash = createHash("sha256");
        createReadStream(path, { highWaterMark: MiB })
            .on("data", (part) => hash.update(part))
            .on("error", fail)
            .on("end", () => done(hash.digest("hex")));
    });
}

/** @param {Buffer} bytes */
export const sha256Of = (bytes) => createHash("sha256").update(bytes).digest("hex");

/**
 * Makes `at` known to `h` and returns the host as the API shows it.
 * @param {Hostpair} h
 * @param {number | string} at a port on 127.0.0.1, or "ip:port"
 * @returns {Promise<any>}
 */
export async function addHost(h, at) {
    const address = typeof at === "number" ? `127.0.0.1:${at}` : at;
    const reply = await h.api("/hosts", { json: { address } });
    if (reply.status !== 201 && reply.status !== 200)
        throw new Error(`adding host ${address}: ${reply.status} ${reply.text}`);
    return reply.json;
}

/**
 * Starts a download and returns it as the API shows it.
 * @param {Hostpair} h
 * @param {Record<string, unknown>} body
 * @returns {Promise<any>}
 */
export async function download(h, body) {
    const reply = await h.api("/downloads", { json: body });
    if (reply.status !== 201 && reply.status !== 200)
        throw new Error(`download ${JSON.stringify(body)}: ${reply.status} ${reply.text}`);
    return reply.json;
}

/** @param {Hostpair} h @param {number} id @returns {Promise<any>} */
export async function getDownload(h, id) {
    const reply = await h.api(`/downloads/${id}`);
    if (reply.status !== 200) throw new Error(`GET download ${id}: ${reply.status} ${reply.text}`);
    return reply.json;
}

/**
 * Waits until a download has one of the states, or until `state`, as a function, accepts it; returns it. Ends at once
 * when the download failed and that is not what was waited for.
 * @param {Hostpair} h
 * @param {number} id
 * @param {string | string[] | ((download: any) => unknown)} state
 * @param {{ timeout?: number }} [options]
 * @returns {Promise<any>}
 */
export async function waitState(h, id, state, { timeout = 120_000 } = {}) {
    const states = typeof state === "string" ? [state] : Array.isArray(state) ? state : undefined;
    const accepts = typeof state === "function" ? state : (/** @type {any} */ d) => states?.includes(d.state);
    /** @type {any} */
    let last;
    return await waitFor(
        async () => {
            if (!h.running())
                throw new GiveUp(`hostpair ended: ${show(await h.exited)}\n${h.stderr().slice(-4000)}`);
            last = await getDownload(h, id);
            if (accepts(last)) return last;
            if (last.state === "failed") throw new GiveUp(`download ${id} failed: ${JSON.stringify(last)}`);
            return undefined;
        },
        {
            timeout,
            what: `download ${id} to be ${states ?? "as wanted"}`,
            detail: () => ({ last, log: h.stderr().slice(-1500) }),
        },
    );
}

/**
 * Where a finished download lies on disk. The API names it as an absolute path or below the downloads folder.
 * @param {Hostpair} h
 * @param {any} d
 */
export const pathOf = (h, d) => resolve(h.downloadsDir, d.path);

const PORTS = { first: 10_000, count: 22_000, each: 100 };
let portsGiven = 0;

/**
 * A free TCP port on 127.0.0.1, none that the kernel gives to connections: what is started there again finds it free. Each
 * process that runs tests has a hundred of its own.
 * @returns {Promise<number>}
 */
export async function freePort() {
    for (;;) {
        const own = (process.pid * PORTS.each) % PORTS.count;
        const port = PORTS.first + own + (portsGiven++ % PORTS.each);
        const server = http.createServer();
        const free = await new Promise((done) => {
            server.on("error", () => done(false));
            server.listen(port, "127.0.0.1", () => done(true));
        });
        if (!free) continue;
        await new Promise((done) => server.close(done));
        return port;
    }
}
