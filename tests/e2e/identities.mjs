// @ts-check
// Keys of hosts in tests: made here for hosts that a test plays, and those of the hostpairs that it started, so that a
// link between two of them can read what it carries.

import {
    createHash,
    createPrivateKey,
    generateKeyPairSync,
    randomBytes,
    sign,
    X509Certificate,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} Identity
 * @property {string} key PEM
 * @property {string} cert PEM
 * @property {string} fingerprint SHA-256 of the public key (SubjectPublicKeyInfo, DER), hex
 * @property {string} id its first 32 digits
 */

/** @param {number} tag @param {...Buffer} parts */
function der(tag, ...parts) {
    const body = Buffer.concat(parts);
    if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
    return Buffer.concat([Buffer.from([tag, 0x82, body.length >> 8, body.length & 0xff]), body]);
}

const ecdsaWithSha256 = der(0x30, Buffer.from("06082a8648ce3d040302", "hex"));
/** A distinguished name with one common name. @param {string} name */
const named = (name) =>
    der(0x30, der(0x31, der(0x30, Buffer.from("0603550403", "hex"), der(0x0c, Buffer.from(name)))));

/** @param {string} key PEM @param {string} cert PEM @returns {Identity} */
function identity(key, cert) {
    const spki = new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" });
    const fingerprint = createHash("sha256").update(spki).digest("hex");
    return { key, cert, fingerprint, id: fingerprint.slice(0, 32) };
}

/**
 * An ECDSA P-256 key and a self-signed certificate of it, as a host has them.
 * @param {object} [options]
 * @param {string} [options.until] when it expires, YYYYMMDDHHMMSSZ
 */
export function makeIdentity({ until = "99991231235959Z" } = {}) {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const dates = der(0x30, der(0x18, Buffer.from("20000101000000Z")), der(0x18, Buffer.from(until)));
    const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(8)]);
    const body = der(
        0x30,
        der(0xa0, der(0x02, Buffer.from([2]))),
        der(0x02, serial),
        ecdsaWithSha256,
        named("hostpair"),
        dates,
        named("hostpair"),
        /** @type {Buffer} */ (publicKey.export({ type: "spki", format: "der" })),
    );
    const signature = sign("sha256", body, privateKey);
    const cert = der(0x30, body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature));
    const lines = cert.toString("base64").replace(/.{64}/g, "$&\n");
    const pem = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
    return identity(String(privateKey.export({ type: "pkcs8", format: "pem" })), pem);
}

/** The identity in a data folder. @param {string} dataDir @returns {Identity} */
export function identityIn(dataDir) {
    const pem = readFileSync(join(dataDir, "identity.pem"), "utf8");
    const cert = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n?/.exec(pem)?.[0] ?? "";
    const key = createPrivateKey(pem).export({ type: "pkcs8", format: "pem" });
    return identity(String(key), cert);
}

/** By port: how to get at the identity of what listens there. @type {Map<number, () => Identity>} */
const listening = new Map();
/** By fingerprint: all that were ever used as one end of a link. @type {Map<string, Identity>} */
const known = new Map();

/** Says whose key a port shows. @param {number} port @param {() => Identity} get */
export function register(port, get) {
    listening.set(port, get);
}

/** @param {number} port @returns {Identity | undefined} */
export function identityAt(port) {
    try {
        const found = listening.get(port)?.();
        if (found) known.set(found.fingerprint, found);
        return found;
    } catch {
        return undefined; // no key was made yet
    }
}

/** Whose certificate (DER) this is, among the hosts of this test. @param {Buffer | undefined} raw */
export function identityOf(raw) {
    if (!raw) return undefined;
    for (const port of listening.keys()) identityAt(port);
    const spki = new X509Certificate(raw).publicKey.export({ type: "spki", format: "der" });
    return known.get(createHash("sha256").update(spki).digest("hex"));
}
