// @ts-check
// The programs that hostpair is measured against: how each is started on loopback, and how each is told to fetch.

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";

import { GiveUp, freePort, request, waitFor } from "../e2e/harness.mjs";
import { timed } from "./measure.mjs";

/**
 * @typedef {object} Server
 * @property {string} name
 * @property {number} port
 * @property {number} pid
 * @property {() => Promise<void>} stop
 */

/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();
process.once("exit", () => {
    for (const child of children) child.kill("SIGKILL");
});

/**
 * Starts a program that stays; what it says is shown only when it does not come up.
 * @param {string} name
 * @param {string[]} command
 * @param {() => Promise<unknown>} isUp
 * @param {Record<string, string>} [env]
 */
async function start(name, command, isUp, env = {}) {
    const child = spawn(command[0], command.slice(1), {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...env },
    });
    let words = "";
    children.add(child);
    for (const stream of [child.stdout, child.stderr])
        stream.on("data", (text) => (words = (words + text).slice(-4000)));
    const ended = new Promise((done) => child.once("close", done));
    ended.then(() => children.delete(child));
    await waitFor(
        () => {
            if (child.exitCode !== null) throw new GiveUp(`${name} ended: ${words}`);
            return isUp();
        },
        { timeout: 30_000, what: `${name} to answer`, detail: () => words },
    );
    const stop = async () => {
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
        await ended;
        clearTimeout(timer);
    };
    return { pid: child.pid ?? 0, stop };
}

/** @param {number} port */
const answers = (port) => async () => (await request(`http://127.0.0.1:${port}/`)).status > 0;

/** @param {number} port */
const shakesHands = (port) => () =>
    new Promise((done, fail) => {
        const socket = connectTls({
            host: "127.0.0.1",
            port,
            rejectUnauthorized: false,
        });
        socket.once("secureConnect", () => done(socket.destroy() !== undefined));
        socket.once("error", fail);
    });

/** Makes a key like hostpair's, P-256, and a certificate. @param {string} folder */
async function makeCertificate(folder) {
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    await timed([
        ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        ...["-subj", "/CN=bench", "-days", "30", "-keyout", key, "-out", certificate],
    ]);
    return { key, certificate };
}

/**
 * One process, one worker: as many as hostpair has loops.
 * @param {string} folder what it serves @param {string} work a folder for its own files
 * @param {{ tls?: boolean, puts?: boolean }} [options] in TLS 1.3 with the cipher that hostpair's own connections have; puts:
 *     it takes files as well
 * @returns {Promise<Server>}
 */
export async function startNginx(folder, work, { tls = false, puts = false } = {}) {
    const port = await freePort();
    const own = join(work, `nginx-${port}`);
    mkdirSync(own);
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        (n) => `${n}_temp_path ${own}/${n};`,
    );
    const { key, certificate } = tls ? await makeCertificate(own) : { key: "", certificate: "" };
    const secured = `ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.3;
                     ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;`;
    const taking = puts ? "dav_methods PUT; client_max_body_size 0;" : "";
    writeFileSync(
        join(own, "nginx.conf"),
        `daemon off; master_process off; user root; pid ${own}/pid; error_log ${own}/error;
         events { worker_connections 20000; }
         http { access_log off; sendfile on; tcp_nopush on; autoindex on; keepalive_requests 1000000; ${temporary.join(" ")}
                server { listen 127.0.0.1:${port} ${tls ? "ssl" : ""} backlog=4096; root ${folder}; ${taking} ${tls ? secured : ""} } }`,
    );
    const command = ["nginx", "-e", join(own, "error"), "-c", join(own, "nginx.conf")];
    return {
        name: "nginx",
        port,
        ...(await start("nginx", command, tls ? shakesHands(port) : answers(port))),
    };
}

/** @param {string} folder @param {string} work @returns {Promise<Server>} */
export async function startLighttpd(folder, work) {
    const port = await freePort();
    const file = join(work, `lighttpd-${port}.conf`);
    writeFileSync(
        file,
        `server.modules = ( "mod_dirlisting" )
         server.document-root = "${folder}"
         server.bind = "127.0.0.1"
         server.port = ${port}
         server.max-fds = 20000
         server.max-connections = 10000
         server.max-keep-alive-requests = 1000000
         dir-listing.activate = "enable"`,
    );
    return {
        name: "lighttpd",
        port,
        ...(await start("lighttpd", ["lighttpd", "-D", "-f", file], answers(port))),
    };
}

/** @param {string} folder @param {string} work @returns {Promise<Server>} */
export async function startCaddy(folder, work) {
    const port = await freePort();
    const file = join(work, `caddy-${port}.conf`);
    writeFileSync(
        file,
        `{
            admin off
            auto_https off
        }
        http://127.0.0.1:${port} {
            bind 127.0.0.1
            root * ${folder}
            file_server browse
        }`,
    );
    const command = ["caddy", "run", "--adapter", "caddyfile", "--config", file];
    const env = { HOME: work, XDG_DATA_HOME: work, XDG_CONFIG_HOME: work };
    return { name: "caddy", port, ...(await start("caddy", command, answers(port), env)) };
}

/**
 * The commands that fetch one file, as a person would call them for speed.
 * @type {Record<string, (url: string, folder: string, name: string) => string[]>}
 */
export const fetchers = {
    "curl -o": (url, folder, name) => ["curl", "-sS", "--fail", "-o", join(folder, name), url],
    wget: (url, folder, name) => ["wget", "-q", "-O", join(folder, name), url],
    wget2: (url, folder, name) => ["wget2", "-q", "-O", join(folder, name), url],
    "aria2c -x4 -s4": (url, folder, name) => [
        ...["aria2c", "-q", "--no-conf", "-x4", "-s4", "--file-allocation=falloc", "--async-dns=false"],
        ...["--enable-dht=false", "-d", folder, "-o", name, url],
    ],
    "axel -n4": (url, folder, name) => ["axel", "-q", "-n", "4", "-o", join(folder, name), url],
    "rclone, 4 streams": (url, folder, name) => [
        ...[
            "rclone",
            "copyto",
            "--config",
            "/dev/null",
            "--multi-thread-streams",
            "4",
            "--multi-thread-cutoff",
            "1M",
        ],
        ...["--http-url", url.slice(0, url.lastIndexOf("/")), `:http:${url.slice(url.lastIndexOf("/") + 1)}`],
        join(folder, name),
    ],
};

/** Their environment: no proxy, no configuration of the person who runs this. @param {string} home */
export const cleanEnvironment = (home) => ({
    HOME: home,
    XDG_CONFIG_HOME: home,
    http_proxy: "",
    https_proxy: "",
    all_proxy: "",
    no_proxy: "*",
});

/**
 * Two Syncthings that share one folder with each other over loopback, with everything off that would talk to anybody else.
 * @param {string} work
 */
export async function startSyncthings(work) {
    const sides = [];
    for (const name of ["a", "b"]) {
        const home = join(work, `syncthing-${name}`);
        const folder = join(work, `synced-${name}`);
        mkdirSync(folder, { recursive: true });
        // STMONITORED: without a second process that watches over the first
        const env = { HOME: home, STNOUPGRADE: "1", STNODEFAULTFOLDER: "1", STMONITORED: "yes" };
        await timed(["syncthing", "generate", "--home", home, "--no-default-folder"], { env });
        const { output } = await timed(["syncthing", "--home", home, "--device-id"], { env });
        sides.push({
            name,
            home,
            folder,
            env,
            id: output.trim(),
            port: await freePort(),
            gui: await freePort(),
        });
    }
    const devices = sides
        .map(
            (s) =>
                `<device id="${s.id}" name="${s.name}" compression="never"><address>tcp://127.0.0.1:${s.port}</address></device>`,
        )
        .join("");
    const members = sides.map((s) => `<device id="${s.id}"></device>`).join("");
    const running = [];
    for (const side of sides) {
        const version = /<configuration version="(\d+)"/.exec(
            readFileSync(join(side.home, "config.xml"), "utf8"),
        )?.[1];
        writeFileSync(
            join(side.home, "config.xml"),
            `<configuration version="${version}">
               <folder id="bench" path="${side.folder}" type="sendreceive" rescanIntervalS="0" fsWatcherEnabled="false">${members}</folder>
               ${devices}
               <gui enabled="true" tls="false"><address>127.0.0.1:${side.gui}</address><apikey>bench</apikey></gui>
               <options>
                 <listenAddress>tcp://127.0.0.1:${side.port}</listenAddress>
                 <globalAnnounceEnabled>false</globalAnnounceEnabled>
                 <localAnnounceEnabled>false</localAnnounceEnabled>
                 <relaysEnabled>false</relaysEnabled>
                 <natEnabled>false</natEnabled>
                 <stunKeepaliveStartS>0</stunKeepaliveStartS>
                 <urAccepted>-1</urAccepted>
                 <urSeen>3</urSeen>
                 <crashReportingEnabled>false</crashReportingEnabled>
                 <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
                 <upgradeToPreReleases>false</upgradeToPreReleases>
                 <startBrowser>false</startBrowser>
                 <setLowPriority>false</setLowPriority>
               </options>
             </configuration>`,
        );
        const call = rest(side.gui);
        const command = [
            "syncthing",
            "serve",
            "--home",
            side.home,
            "--no-browser",
            "--no-restart",
            "--no-upgrade",
        ];
        const up = async () => (await call("/rest/system/ping")).status === 200;
        running.push({ ...side, call, ...(await start(`syncthing ${side.name}`, command, up, side.env)) });
    }
    const [a, b] = running;
    await waitFor(
        async () =>
            JSON.parse((await a.call("/rest/system/connections")).text).connections?.[b.id]?.connected,
        {
            timeout: 60_000,
            what: "the Syncthings to meet",
        },
    );
    return { a, b, stop: async () => void (await Promise.all([a.stop(), b.stop()])) };
}

/** @param {number} port */
const rest =
    (port) =>
    (/** @type {string} */ path, /** @type {string} */ method = "GET") =>
        request(`http://127.0.0.1:${port}${path}`, { method, headers: { "X-API-Key": "bench" } });
