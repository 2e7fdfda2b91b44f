// @ts-check
// A program in a machine of its own that plays another host: it records that host's beacons and sends them again from its
// own address, as they were and changed, and claims to be that host to whoever asks at port 9000.
//
//   node impostor.mjs '{"victim": "10.77.0.2", "own": "10.77.0.3", "to": ["10.77.0.1", "239.192.90.0"], "tls": true}'
//
// A line of JSON tells what happens: {"recorded": n}, {"sent": n}, {"asked": "GET /hostpair"}.

import dgram from "node:dgram";
import http from "node:http";
import https from "node:https";

import { makeIdentity } from "../e2e/identities.mjs";

const BEACON_PORT = 9000;
const SEND_EVERY_MS = 150; /* a host takes ten datagrams a second from one address */

/** @type {{ victim: string, own: string, to: string[], tls: boolean }} */
const { victim, own, to, tls } = JSON.parse(process.argv[2]);
/** @type {Buffer[]} */
const recorded = [];
/** @type {any} */
let message;
let sent = 0;

/** @param {object} what */
const tell = (what) => void process.stdout.write(`${JSON.stringify(what)}\n`);

const socket = dgram.createSocket({ type: "udp4", reuseAddr: true });
socket.on("message", (data, from) => {
    if (from.address !== victim) return;
    recorded.push(data);
    message = JSON.parse(data.toString());
    tell({ recorded: recorded.length });
});
socket.bind(BEACON_PORT, () => {
    socket.addMembership("239.192.90.0", own);
    socket.setMulticastInterface(own);
});

/** The recorded ones as they are, and with each thing in turn that could matter. */
const forged = () => {
    const other = {
        ...message,
        name: "evil",
        instance: "e".repeat(32),
        list: "forged",
    };
    return [
        ...recorded,
        Buffer.from(JSON.stringify(other)),
        Buffer.from(JSON.stringify({ ...message, address: own })),
        Buffer.from(JSON.stringify({ ...other, address: own, reply: true })),
    ];
};

setInterval(() => {
    if (recorded.length === 0) return;
    const all = forged();
    const data = all[sent % all.length];
    for (const address of to) socket.send(data, BEACON_PORT, address, () => {});
    tell({ sent: ++sent });
}, SEND_EVERY_MS);

/** @param {http.IncomingMessage} req @param {http.ServerResponse} res */
const answer = (req, res) => {
    tell({ asked: `${req.method} ${req.url}` });
    if (req.url === "/list") {
        const file = {
            path: "f.bin",
            size: 9,
            mtime: "2024-01-02T03:04:05Z",
            type: "text/plain",
            root: "ab".repeat(32),
        };
        res.setHeader("content-type", "application/x-ndjson");
        return void res.end(`${JSON.stringify(file)}\n`);
    }
    if (req.url !== "/hostpair") return void res.end("evil bytes");
    res.setHeader("content-type", "application/json");
    const time = new Date(Date.now() + 3_600_000).toISOString();
    const { id, instance, list } = message ?? {};
    res.end(
        JSON.stringify({
            id,
            name: "evil",
            version: "9",
            protocol: tls ? 2 : 1,
            instance,
            list,
            time,
            files: 1,
            bytes: 9,
        }),
    );
};
const { key, cert } = makeIdentity();
const server = tls
    ? https.createServer(
          {
              key,
              cert,
              requestCert: true,
              rejectUnauthorized: false,
              minVersion: "TLSv1.3",
          },
          answer,
      )
    : http.createServer(answer);
server.listen(9000, own);
