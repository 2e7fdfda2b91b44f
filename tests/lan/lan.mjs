// @ts-check
// Networks made of namespaces, and hostpairs that live in them. Everything is inside namespaces that a test itself makes:
// one that plays the switches, one for each host. Nothing touches the machine's own interfaces.
//
//   const lan = new Lan(t);
//   lan.network("home");
//   lan.host("a", { home: "10.77.0.1/24" });
//   const a = await lan.start("a");
//   await a.waitForHosts(["b", "c"], 2000);
//
// HOSTPAIR_BIN names the program (default: build/hostpair in the checkout), HP_LAN_VERBOSE=1 shows what it logs.

import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { defaultBin, tempDir, waitFor } from "../e2e/harness.mjs";

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

let networks = 0;

/** Why these tests cannot run here, or an empty string. */
export function whyNot() {
    if (process.getuid?.() !== 0) return "network namespaces need root";
    if (!existsSync(defaultBin)) return `there is no program ${defaultBin}`;
    const name = `hp-${process.pid}-try`;
    try {
        execFileSync("ip", ["netns", "add", name], { stdio: "pipe" });
        execFileSync("ip", ["-n", name, "link", "add", "type", "veth"], { stdio: "pipe" });
    } catch (error) {
        return `network namespaces do not work here: ${error instanceof Error ? error.message.split("\n")[0] : error}`;
    } finally {
        try {
            execFileSync("ip", ["netns", "del", name], { stdio: "pipe" });
        } catch {
            // it was not made
        }
    }
    return "";
}

/**
 * @typedef {{ after(fn: () => unknown): unknown, diagnostic?(text: string): void }} TestContext
 * @typedef {Awaited<ReturnType<Lan["start"]>>} LanHost
 */

/** The file that a container's runtime leaves, in a /run of its own. */
export const IN_CONTAINER = [
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    'mount -t tmpfs none /run && touch /run/.containerenv && exec "$0" "$@"',
];

export class Lan {
    /** @param {TestContext} t everything is taken down when this test ends */
    constructor(t) {
        this.prefix = `hp-${process.pid}-${networks++}`;
        this.switches = `${this.prefix}-sw`;
        /** @type {string[]} */
        this.namespaces = [];
        /** @type {{ stop(): Promise<void> }[]} */
        this.running = [];
        this.links = 0;
        t.after(() => this.remove());
        this.addNamespace(this.switches);
    }

    /** @param {string} name */
    addNamespace(name) {
        ip("netns", "add", name);
        this.namespaces.push(name);
        // An address of IPv6 can be used at once, without asking whether somebody else has it.
        this.inside(name, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
        ip("-n", name, "link", "set", "lo", "up");
    }

    /** A switch of its own. @param {string} name at most 8 characters */
    network(name) {
        ip("-n", this.switches, "link", "add", name, "type", "bridge");
        ip("-n", this.switches, "link", "set", name, "up");
    }

    /** @param {string} host */
    namespaceOf(host) {
        return `${this.prefix}-${host}`;
    }

    /**
     * A machine with an interface in each of these networks: `{ home: "10.0.0.1/24" }`.
     * @param {string} host
     * @param {Record<string, string>} addresses
     */
    host(host, addresses = {}) {
        this.addNamespace(this.namespaceOf(host));
        for (const [network, address] of Object.entries(addresses)) this.plug(host, network, address);
    }

    /**
     * Puts one more cable into a machine; its interface has the name of the network.
     * @param {string} host
     * @param {string} network
     * @param {string} address
     */
    plug(host, network, address) {
        const ns = this.namespaceOf(host);
        const port = `p${this.links++}`;
        ip("-n", this.switches, "link", "add", port, "type", "veth", "peer", "name", network, "netns", ns);
        ip("-n", this.switches, "link", "set", port, "master", network, "up");
        ip("-n", ns, "address", "add", address, "broadcast", "+", "dev", network);
        ip("-n", ns, "link", "set", network, "up");
        return port;
    }

    /** Runs a command in a machine, or in the switches' namespace when `host` is its full name. @param {string} ns @param {string[]} command */
    inside(ns, ...command) {
        return execFileSync("ip", ["netns", "exec", ns, ...command], {
            stdio: ["ignore", "pipe", "pipe"],
        }).toString();
    }

    /** @param {string} host @param {string[]} command */
    on(host, ...command) {
        return this.inside(this.namespaceOf(host), ...command);
    }

    /**
     * Starts hostpair on a machine.
     * @param {string} host
     * @param {{ args?: string[], name?: string, data?: string, share?: string, root?: string, bin?: string, wrap?: string[] }} [options] wrap: a command in front
     */
    async start(
        host,
        { args = [], name = host, data, share, root = tempDir(), bin = defaultBin, wrap = [] } = {},
    ) {
        const ns = this.namespaceOf(host);
        const dataDir = data ?? join(root, "data");
        const shareDir = share ?? join(root, "share");
        const portFile = join(root, "ports.json");
        for (const dir of [dataDir, shareDir, join(root, "downloads"), join(root, "home")])
            mkdirSync(dir, { recursive: true });
        rmSync(portFile, { force: true });
        const command = [
            "netns",
            "exec",
            ns,
            ...wrap,
            bin,
            "--name",
            name,
            "--share",
            shareDir,
            "--data",
            dataDir,
        ];
        command.push(
            "--downloads",
            join(root, "downloads"),
            "--port-file",
            portFile,
            "--log",
            "debug",
            ...args,
        );
        const child = spawn("ip", command, {
            stdio: ["ignore", "pipe", "pipe"],
            env: {
                ...process.env,
                HOME: join(root, "home"),
                ASAN_OPTIONS: `log_path=${join(root, "sanitizer")}:detect_leaks=1`,
                UBSAN_OPTIONS: `log_path=${join(root, "sanitizer")}:print_stacktrace=1`,
            },
        });
        let log = "";
        for (const stream of [child.stdout, child.stderr])
            stream.setEncoding("utf8").on("data", (text) => {
                log += text;
                if (process.env.HP_LAN_VERBOSE) process.stderr.write(`[${host}] ${text}`);
            });
        /** @type {{ code: number | null, signal: string | null } | undefined} */
        let end;
        const exited = new Promise((done) =>
            child.on("close", (code, signal) => {
                end = { code, signal };
                done(end);
            }),
        );
        const self = {
            host,
            root,
            dataDir,
            shareDir,
            pid: child.pid ?? 0,
            peerPort: 0,
            dashboardPort: 0,
            /** hp_clock of this test when both listeners were up, ms */
            upAt: 0,
            log: () => log,
            /**
             * A call of the dashboard's API, by curl in the machine.
             * @param {string} path
             * @param {{ method?: string, json?: unknown }} [options]
             * @returns {Promise<{ status: number, json: any, text: string }>}
             */
            api: (path, { method, json } = {}) =>
                new Promise((done, fail) => {
                    const curl = ["netns", "exec", ns, "curl", "-sS", "-m", "20", "-w", "\n%{http_code}"];
                    if (method) curl.push("-X", method);
                    if (json !== undefined)
                        curl.push("-H", "Content-Type: application/json", "-d", JSON.stringify(json));
                    curl.push(`http://127.0.0.1:${self.dashboardPort}/api/v1${path}`);
                    execFile("ip", curl, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
                        if (error) return fail(new Error(`${path} of ${host}: ${stderr || error.message}`));
                        const cut = stdout.lastIndexOf("\n");
                        const text = stdout.slice(0, cut);
                        let parsed;
                        try {
                            parsed = JSON.parse(text);
                        } catch {
                            parsed = undefined;
                        }
                        done({ status: Number(stdout.slice(cut + 1)), json: parsed, text });
                    });
                }),
            /** @returns {Promise<any[]>} */
            hosts: async () => (await self.api("/hosts")).json.hosts,
            /** The host of this name. @param {string} hostName @returns {Promise<any>} */
            find: async (hostName) => (await self.hosts()).find((h) => h.name === hostName),
            /**
             * Waits until exactly these are online.
             * @param {string[]} names
             * @param {number} [timeout]
             */
            waitForHosts: (names, timeout = 10_000) =>
                waitFor(
                    async () => {
                        const online = (await self.hosts())
                            .filter((h) => h.state === "online")
                            .map((h) => h.name);
                        return online.sort().join() === [...names].sort().join();
                    },
                    {
                        timeout,
                        interval: 20,
                        what: `${host} to see ${names.join(", ") || "nobody"} online`,
                        detail: async () => ({ hosts: await self.hosts(), log: log.slice(-3000) }),
                    },
                ),
            stop: async () => {
                if (!end) child.kill("SIGTERM");
                const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
                await exited;
                clearTimeout(timer);
                const complaints = readdirSync(root).filter((file) => file.startsWith("sanitizer."));
                if (complaints.length > 0)
                    throw new Error(
                        `a sanitizer complained: ${readFileSync(join(root, complaints[0]), "utf8")}`,
                    );
                if (end?.code !== 0 && !self.killed)
                    throw new Error(
                        `hostpair on ${host} ended with ${JSON.stringify(end)}:\n${log.slice(-3000)}`,
                    );
            },
            killed: false,
            kill9: async () => {
                self.killed = true;
                child.kill("SIGKILL");
                await exited;
            },
        };
        this.running.push(self);
        const ports = await waitFor(
            () => {
                if (end) throw new Error(`it ended at start: ${log}`);
                return JSON.parse(readFileSync(portFile, "utf8"));
            },
            { timeout: START_TIMEOUT_MS, interval: 5, what: `${host} to start`, detail: () => log },
        );
        self.upAt = performance.now();
        self.peerPort = ports.peer;
        self.dashboardPort = ports.dashboard;
        return self;
    }

    async remove() {
        /** @type {unknown[]} */
        const errors = [];
        for (const host of this.running) await host.stop().catch((error) => errors.push(error));
        for (const name of this.namespaces.reverse()) {
            try {
                ip("netns", "del", name);
            } catch (error) {
                errors.push(error);
            }
        }
        if (errors.length > 0) throw errors[0];
    }
}

/** @param {string[]} args */
export function ip(...args) {
    execFileSync("ip", args, { stdio: ["ignore", "pipe", "pipe"] });
}
