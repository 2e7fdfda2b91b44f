// @ts-check
// systemd as the first process of a root, in a container without a network.

import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { tempDir } from "./harness.mjs";

/**
 * Starts systemd on the root, in which it must be installed: what runs a bash script in there, or a word why it cannot.
 * @param {import("node:test").TestContext} t @param {string} root
 * @returns {string | ((script: string) => { status: number | null, output: string })}
 */
export function systemdOn(t, root) {
    for (const program of ["podman", "runc"])
        if (spawnSync(program, ["--version"]).error) return `${program} is not installed`;
    const store = tempDir();
    const name = `hptest-${process.pid}-systemd`;
    const pod = (/** @type {string[]} */ ...args) =>
        spawnSync(
            "podman",
            [
                ...["--root", join(store, "root"), "--runroot", join(store, "run")],
                ...["--runtime", "runc", "--cgroup-manager", "cgroupfs", ...args],
            ],
            { encoding: "utf8" },
        );
    t.after(() => {
        pod("rm", "--force", "--time", "1", name);
        for (const line of readFileSync("/proc/mounts", "utf8").split("\n").reverse()) {
            const at = line.split(" ")[1];
            if (at?.startsWith(`${store}/`)) spawnSync("umount", ["--lazy", at]);
        }
        rmSync(store, { recursive: true, force: true });
    });
    const started = pod(
        ...["run", "-d", "--name", name, "--privileged", "--systemd=always", "--network", "none"],
        ...["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--rootfs", root, "/sbin/init"],
    );
    if (started.status !== 0) return `no privileged container runs here: ${started.stderr}`;
    return (script) => {
        const { status, stdout, stderr } = pod("exec", name, "bash", "-euc", script);
        return { status, output: `${stdout}${stderr}` };
    };
}
