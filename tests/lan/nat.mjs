// Two home networks behind routers, a hub on the internet between them, and delay, loss and rate on the way: network
// namespaces, the routers of routers.mjs, lab/wan.c for the internet and lab/lab.c for the machines. Needs root.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { defaultBin, tempDir, waitFor } from "../e2e/harness.mjs";
import { ip } from "./lan.mjs";
import { rules } from "./routers.mjs";

const bin = process.env.HP_LAB_BIN ?? join(dirname(defaultBin), "lab");
const HUB = "203.0.113.9";
const HUB6 = "2001:db8:9::9";
const STUN_PORT = 9010;
const STOP_TIMEOUT_MS = 10_000;
let labs = 0;

/** Why these tests cannot run here, or an empty string. */
export function whyNoNat() {
    if (process.getuid?.() !== 0) return "network namespaces need root";
    for (const tool of ["nft", "conntrack"])
        try {
            execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" });
        } catch {
            return `${tool} is not installed`;
        }
    if (!existsSync("/dev/net/tun")) return "there is no /dev/net/tun";
    for (const program of ["lab_wan", "tunnel_lab"])
        if (!existsSync(join(bin, program))) return `${join(bin, program)} is not built (target lab)`;
    return "";
}

/**
 * @typedef {{ after(fn: () => unknown): unknown, diagnostic?(text: string): void }} TestContext
 * @typedef {Awaited<ReturnType<NatLab["start"]>>} LabHost
 * @typedef {{ delay?: number, loss?: number, rate?: number, queue?: number, mtu?: number, blackhole?: number, reorder?: number, reorder_ms?: number, dup?: number }} Line
 */

export class NatLab {
    /**
     * @param {TestContext} t everything is taken down when this test ends
     * @param {{ a?: Line, b?: Line, hub?: Line, lanA?: string, lanB?: string, v6?: boolean, outside?: string }} [options] the lines of the
     *   two homes and the hub; the first three numbers of the home networks and of the routers outside
     */
    constructor(t, options = {}) {
        this.t = t;
        this.prefix = `hpn-${process.pid}-${labs++}`;
        this.lines = {
            a: { delay: 15, ...options.a },
            b: { delay: 20, ...options.b },
            hub: { delay: 5, ...options.hub },
        };
        this.lan = {
            a: options.lanA ?? "192.168.1",
            b: options.lanB ?? "192.168.1",
        };
        this.v6 = options.v6 ?? false;
        /** The routers' addresses on the internet. A router that maps ports refuses to for addresses of examples. */
        this.outside = options.outside ?? "198.51.100";
        /** @type {Record<string, string>} */
        this.kind = {};
        /** @type {string[]} */
        this.namespaces = [];
        /** @type {(() => Promise<void> | void)[]} */
        this.stops = [];
        /** @type {Map<string, LabHost>} by id */
        this.hosts = new Map();
        /** What the hub knows of a session: whose offers came. @type {Map<string, Map<string, any>>} */
        this.sessions = new Map();
        /** Milliseconds by which a machine hears "go" later than the other. @type {Record<string, number>} */
        this.late = {};
        this.relays = true;
        this.down = false;
        /** Everything that hosts told the hub. @type {any[]} */
        this.heard = [];
        t.after(() => this.remove());
    }

    /** @param {string} name */
    ns(name) {
        return `${this.prefix}-${name}`;
    }

    /** @param {string} name */
    addNamespace(name) {
        ip("netns", "add", this.ns(name));
        this.namespaces.push(this.ns(name));
        ip("-n", this.ns(name), "link", "set", "lo", "up");
        this.on(name, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
    }

    /** @param {string} name @param {string[]} command */
    on(name, ...command) {
        return execFileSync("ip", ["netns", "exec", this.ns(name), ...command], {
            stdio: ["ignore", "pipe", "pipe"],
        }).toString();
    }

    /** A home: its router, and one machine behind it. @param {"a" | "b"} side */
    addHome(side) {
        const router = `r${side}`;
        const number = side === "a" ? 1 : 2;
        this.addNamespace(side);
        this.addNamespace(router);
        ip(
            "-n",
            this.ns(router),
            "link",
            "add",
            "lan",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            this.ns(side),
        );
        ip("-n", this.ns(router), "addr", "add", `${this.lan[side]}.1/24`, "dev", "lan");
        ip("-n", this.ns(router), "link", "set", "lan", "up");
        ip("-n", this.ns(side), "addr", "add", this.address(side) + "/24", "dev", "eth0");
        ip("-n", this.ns(side), "link", "set", "eth0", "up");
        ip("-n", this.ns(side), "route", "add", "default", "via", `${this.lan[side]}.1`);
        this.on(router, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
        if (this.v6) {
            ip("-n", this.ns(router), "addr", "add", `2001:db8:${number}::1/64`, "dev", "lan", "nodad");
            ip("-n", this.ns(side), "addr", "add", `2001:db8:${number}::10/64`, "dev", "eth0", "nodad");
            ip("-n", this.ns(side), "route", "add", "default", "via", `2001:db8:${number}::1`);
        }
        return `ns=${this.ns(router)},if=w,addr=${this.outside}.${number}/32,to=${this.outside}.${number}/32${this.v6 ? `,to=2001:db8:${number}::/48,addr=2001:db8:fff::${number}/128` : ""}`;
    }

    /** @param {"a" | "b"} side */
    address(side) {
        return `${this.lan[side]}.${side === "a" ? 10 : 20}`;
    }

    /** Builds it all. @param {{ a: string, b: string }} kinds of the two routers */
    async up(kinds) {
        const homes = [this.addHome("a"), this.addHome("b")];
        this.addNamespace("hub");
        const hub = `ns=${this.ns("hub")},if=w,addr=${HUB}/32,to=203.0.113.8/29${this.v6 ? `,addr=${HUB6}/128,to=2001:db8:9::/48` : ""}`;
        const line = (/** @type {Line} */ l) =>
            Object.entries(l)
                .map(([key, value]) => `${key}=${value}`)
                .join();
        await this.spawnWan([
            `${homes[0]},${line(this.lines.a)}`,
            `${homes[1]},${line(this.lines.b)}`,
            `${hub},${line(this.lines.hub)}`,
        ]);
        for (const side of /** @type {const} */ (["a", "b"]))
            if (this.v6) ip("-n", this.ns(`r${side}`), "-6", "route", "replace", "default", "dev", "w");
        this.nat("a", kinds.a);
        this.nat("b", kinds.b);
        await this.spawnHub();
        await this.listen();
    }

    /** @param {string[]} ports */
    async spawnWan(ports) {
        const child = spawn(join(bin, "lab_wan"), ports, {
            stdio: ["pipe", "pipe", "inherit"],
        });
        const lines = createInterface({ input: child.stdout });
        /** @type {((line: string) => void)[]} */
        const waiting = [];
        lines.on("line", (text) => waiting.shift()?.(text));
        const next = () => new Promise((/** @type {(line: string) => void} */ done) => waiting.push(done));
        const exited = new Promise((done) => child.on("close", done));
        this.stops.push(async () => {
            child.stdin.end();
            await exited;
        });
        /** @param {"a" | "b" | "hub"} which @param {Line} values */
        this.setLine = async (which, values) => {
            const answer = next();
            child.stdin.write(
                `set ${["a", "b", "hub"].indexOf(which)} ${Object.entries(values)
                    .map(([k, v]) => `${k}=${v}`)
                    .join()}\n`,
            );
            Object.assign(this.lines[which], values);
            if ((await answer) !== "set") throw new Error("the internet did not obey");
        };
        this.stats = async () => {
            const answer = next();
            child.stdin.write("stats\n");
            return JSON.parse(await answer);
        };
        if ((await next()) !== "up") throw new Error("there is no internet");
    }

    async spawnHub() {
        const addresses = [HUB, ...(this.v6 ? [HUB6] : [])];
        const child = spawn(
            "ip",
            [
                "netns",
                "exec",
                this.ns("hub"),
                join(bin, "tunnel_lab"),
                "hub",
                String(STUN_PORT),
                ...addresses,
            ],
            {
                stdio: ["ignore", "pipe", "inherit"],
                env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0" },
            },
        );
        const exited = new Promise((done) => child.on("close", done));
        this.stops.push(async () => {
            child.kill("SIGKILL");
            await exited;
        });
        await new Promise((done, fail) => {
            child.stdout.once("data", done);
            child.once("close", () => fail(new Error("the hub ended")));
        });
    }

    /** Gives a router its kind. Mappings that were are forgotten. @param {"a" | "b"} side @param {string} kind */
    nat(side, kind) {
        this.kind[side] = kind;
        execFileSync("ip", ["netns", "exec", this.ns(`r${side}`), "nft", "-f", "-"], {
            input: rules(kind, this.address(side)),
            stdio: ["pipe", "pipe", "pipe"],
        });
        this.flush(side);
    }

    /** A router forgets all connections. @param {"a" | "b"} side */
    flush(side) {
        this.on(`r${side}`, "conntrack", "-F");
    }

    /**
     * Makes a router one that opens ports when it is asked to.
     * @param {"a" | "b"} side @param {{ natpmp: boolean, upnp: boolean }} speaks natpmp: PCP as well
     */
    async openPorts(side, { natpmp, upnp }) {
        const folder = tempDir();
        const yes = (/** @type {boolean} */ value) => (value ? "yes" : "no");
        execFileSync("ip", ["netns", "exec", this.ns(`r${side}`), "nft", "-f", "-"], {
            input: `table inet opened {
  chain fw { }
  chain pre { type nat hook prerouting priority -101; }
  chain post { type nat hook postrouting priority 101; }
}
`,
        });
        const config = join(folder, "miniupnpd.conf");
        writeFileSync(
            config,
            `ext_ifname=w
listening_ip=lan
enable_natpmp=${yes(natpmp)}
enable_upnp=${yes(upnp)}
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 ${this.lan[side]}.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
upnp_table_name=opened
upnp_nat_table_name=opened
upnp_forward_chain=fw
upnp_nat_chain=pre
upnp_nat_postrouting_chain=post
`,
        );
        const child = spawn(
            "ip",
            [
                "netns",
                "exec",
                this.ns(`r${side}`),
                "miniupnpd",
                "-d",
                "-f",
                config,
                "-P",
                join(folder, "pid"),
            ],
            { stdio: ["ignore", "pipe", "pipe"] },
        );
        let log = "";
        for (const stream of [child.stdout, child.stderr])
            stream.setEncoding("utf8").on("data", (/** @type {string} */ text) => (log += text));
        const exited = new Promise((done) => child.on("close", done));
        this.stops.push(async () => {
            child.kill("SIGKILL");
            await exited;
        });
        await waitFor(() => /Listening for NAT-PMP|HTTP listening/.test(log), {
            timeout: 10_000,
            interval: 10,
            what: "the router's service",
            detail: () => log,
        });
        return { log: () => log, rules: () => this.on(`r${side}`, "nft", "list", "table", "inet", "opened") };
    }

    // ---- the hub's part in signalling ----

    async listen() {
        this.folder = tempDir();
        this.socket = join(this.folder, "hub.sock");
        const server = createServer((connection) => {
            let host = /** @type {LabHost | undefined} */ (undefined);
            createInterface({ input: connection }).on("line", (text) => {
                const event = JSON.parse(text);
                if (event.ev === "hello") {
                    host = this.arriving?.(event, connection);
                    return;
                }
                if (host) this.onEvent(host, event);
            });
            connection.on("error", () => {});
        });
        await new Promise((done) => server.listen(this.socket, () => done(undefined)));
        this.stops.push(() => new Promise((done) => server.close(() => done())));
    }

    /** How long a message between a host and the hub is under way. @param {LabHost} host */
    delayTo(host) {
        return (this.lines[host.side].delay ?? 0) + (this.lines.hub.delay ?? 0);
    }

    /** @param {LabHost} to @param {object} message @param {number} [extra] ms */
    send(to, message, extra = 0) {
        if (this.down) return;
        setTimeout(() => to.say(message), this.delayTo(to) + extra);
    }

    /** @param {LabHost} host @param {any} event */
    onEvent(host, event) {
        host.events.push({ ...event, heardAt: performance.now() });
        if (event.ev !== "offer" && event.ev !== "relay") return;
        setTimeout(() => {
            if (this.down) return;
            this.heard.push({ from: host.name, ...event });
            const other = this.hosts.get(event.to);
            if (event.ev === "offer") this.onOffer(host, other, event.offer);
            else this.onRelay(host, other, event.request);
        }, this.delayTo(host));
    }

    /** @param {LabHost} from @param {LabHost | undefined} to @param {any} offer */
    onOffer(from, to, offer) {
        if (!to) return;
        const offers = this.sessions.get(offer.session) ?? new Map();
        this.sessions.set(offer.session, offers);
        offers.set(from.id, offer);
        if (!offers.has(to.id)) {
            this.send(to, { do: "offered", from: from.id, offer });
            return;
        }
        // Both are there: they begin when the slower one can have heard of it.
        const key = randomBytes(32).toString("hex");
        const slowest = Math.max(this.delayTo(from), this.delayTo(to));
        for (const [self, other] of [
            [from, to],
            [to, from],
        ])
            this.send(
                self,
                {
                    do: "go",
                    from: other.id,
                    peer: offers.get(other.id),
                    key,
                    wait_ms: slowest - this.delayTo(self),
                },
                this.late[self.name] ?? 0,
            );
        this.sessions.delete(offer.session);
    }

    /** @param {LabHost} from @param {LabHost | undefined} to @param {number} request */
    onRelay(from, to, request) {
        if (!this.relays || !to) {
            this.send(from, {
                do: "relay_answer",
                request,
                error: "the hub relays nothing at present",
            });
            return;
        }
        const relay = {
            address: HUB,
            port: STUN_PORT,
            token: randomBytes(16).toString("hex"),
        };
        this.send(from, { do: "relay_answer", request, ...relay });
        this.send(to, { do: "relay_asked", from: from.id, ...relay });
    }

    /**
     * Starts a machine's program.
     * @param {"a" | "b"} side
     * @param {{ name?: string, args?: string[], ns?: string, env?: Record<string, string>, data?: string }} [options] data: its folder
     */
    async start(side, { name = side, args = [], ns = side, env = {}, data } = {}) {
        const root = tempDir();
        const dataFolder = data ?? join(root, "data");
        mkdirSync(dataFolder, { recursive: true });
        const addresses = [HUB, ...(this.v6 ? [HUB6] : [])].join();
        const child = spawn(
            "ip",
            [
                "netns",
                "exec",
                this.ns(ns),
                join(bin, "tunnel_lab"),
                "host",
                this.socket ?? "",
                dataFolder,
                addresses,
                String(STUN_PORT),
                ...args,
            ],
            {
                stdio: ["ignore", "pipe", "pipe"],
                env: {
                    ...process.env,
                    HP_LAB_DEBUG: "1",
                    ASAN_OPTIONS: `log_path=${join(root, "sanitizer")}:detect_leaks=1`,
                    UBSAN_OPTIONS: `log_path=${join(root, "sanitizer")}:print_stacktrace=1`,
                    ...env,
                },
            },
        );
        let log = "";
        for (const stream of [child.stdout, child.stderr])
            stream.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
                log += text;
                if (process.env.HP_LAN_VERBOSE) process.stderr.write(text.replace(/^/gm, `[${name}] `));
            });
        /** @type {number | null | undefined} */
        let code;
        const exited = new Promise((done) =>
            child.on("close", (c) => {
                code = c;
                done(undefined);
            }),
        );
        let tags = 0;
        const self = {
            name,
            side,
            id: "",
            fingerprint: "",
            pid: child.pid ?? 0,
            log: () => log,
            /** @type {any[]} */
            events: [],
            /** @type {(message: object) => void} */
            say: () => {},
            /** @param {{ fingerprint: string }} other */
            know: (other) => self.say({ do: "remote", fingerprint: other.fingerprint }),
            /**
             * Fetches the pattern from another machine; comes back with what became of it.
             * @param {{ id: string }} other @param {number} bytes @param {{ timeout?: number, verify?: boolean }} [options]
             * @returns {Promise<any>}
             */
            fetch: async (other, bytes, { timeout = 30_000, verify = true } = {}) => {
                const tag = ++tags;
                self.say({ do: "fetch", id: other.id, bytes, tag, verify });
                return await self.wait(
                    (e) => e.ev === "fetched" && e.tag === tag,
                    timeout,
                    `${name} to fetch ${bytes} bytes`,
                );
            },
            /** @param {(event: any) => boolean} match @param {number} timeout @param {string} what */
            wait: async (match, timeout, what) =>
                waitFor(() => self.events.find(match), {
                    timeout,
                    interval: 2,
                    what,
                    detail: () => ({
                        events: self.events.slice(-20),
                        log: log.slice(-4000),
                    }),
                }),
            /** The latest path to the other machine. @returns {{ path: string, reason: string }} */
            path: () =>
                self.events.findLast((e) => e.ev === "path") ?? {
                    path: "none",
                    reason: "",
                },
            /** @param {string} path @param {number} [timeout] */
            waitForPath: async (path, timeout = 10_000) =>
                waitFor(() => self.path().path === path, {
                    timeout,
                    interval: 2,
                    what: `${name}'s path to be ${path}`,
                    detail: () => ({ path: self.path(), log: log.slice(-4000) }),
                }),
            usage: async () => {
                const before = self.events.length;
                self.say({ do: "usage" });
                return await waitFor(() => self.events.slice(before).find((e) => e.ev === "usage"), {
                    timeout: 5000,
                    interval: 2,
                    what: "usage",
                });
            },
            killed: false,
            kill9: async () => {
                self.killed = true;
                child.kill("SIGKILL");
                await exited;
            },
            stop: async () => {
                if (self.killed) return;
                if (code === undefined) self.say({ do: "close" });
                const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
                await exited;
                clearTimeout(timer);
                const complaint = readdirSync(root).find((file) => file.startsWith("sanitizer."));
                if (complaint)
                    throw new Error(`a sanitizer complained: ${readFileSync(join(root, complaint), "utf8")}`);
                if (code !== 0) throw new Error(`${name} ended with ${code}:\n${log.slice(-3000)}`);
            },
        };
        const arrived = new Promise((done) => {
            this.arriving = (
                /** @type {any} */ event,
                /** @type {import("node:net").Socket} */ connection,
            ) => {
                self.id = event.id;
                self.fingerprint = event.fingerprint;
                connection.on("error", () => {}); // it has ended, and its exit status says how
                self.say = (message) => {
                    if (!connection.destroyed) connection.write(JSON.stringify(message) + "\n");
                };
                this.hosts.set(self.id, self);
                done(undefined);
                return self;
            };
        });
        this.stops.push(self.stop);
        await Promise.race([arrived, exited]);
        if (code !== undefined) throw new Error(`${name} ended at once: ${log}`);
        return self;
    }

    /** Ends the machines' programs; the routers and lines stay. */
    async stopHosts() {
        for (const host of new Set(this.hosts.values())) {
            await host.stop();
            this.stops = this.stops.filter((stop) => stop !== host.stop);
        }
        this.hosts.clear();
        this.sessions.clear();
    }

    /** Both machines, which know each other. */
    async startBoth(options = {}) {
        const a = await this.start("a", options);
        const b = await this.start("b", options);
        a.know(b);
        b.know(a);
        return { a, b };
    }

    async remove() {
        /** @type {unknown[]} */
        const errors = [];
        this.down = true;
        for (const stop of this.stops.reverse())
            try {
                await stop();
            } catch (error) {
                errors.push(error);
            }
        for (const name of this.namespaces.reverse())
            try {
                ip("netns", "del", name);
            } catch (error) {
                errors.push(error);
            }
        if (errors.length > 0) throw errors[0];
    }
}

export { pause };
