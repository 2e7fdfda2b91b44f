// @ts-check
import { Group, Member, startHub } from "../../e2e/hub.mjs";
import { GB, contest, timed, tool, watch } from "../measure.mjs";

export const title = "a hub's relay: 4 GB through it, one connection";
export const goal = "at least 400 MB/s, at most 0.5 CPU s/GB";

/** @param {import("../hostpairs.mjs").Bench} bench */
export async function run(bench) {
    const bytes = 4e9;
    /** @type {(() => unknown)[]} */
    const ends = [];
    const hub = await startHub({ after: (/** @type {() => unknown} */ end) => void ends.push(end) });
    const group = new Group();
    const [a, b] = [await Member.create("anna"), await Member.create("ben")];
    for (const member of [a, b]) await member.join(hub, group);
    const stream = await b.listen(hub);
    const turn = async () => {
        const given = await a.call(hub, "POST", `${group.path}/relays`, { json: { to: b.id } });
        const { token } = await stream.next("relay");
        const command = [tool("relayed"), String(hub.port), given.json.token, token, String(bytes)];
        /** @type {any} */
        let output;
        const taken = await watch(hub.pid, async () => ({ output } = await timed(command)));
        return { ...taken, seconds: JSON.parse(output).seconds, bytes };
    };
    const [figure] = await contest([{ name: "hostpair hub", turn }], bench.rounds);
    stream.close();
    for (const end of ends) await end();
    const speed = bytes / figure.seconds;
    const cost = ((figure.cpu ?? 0) / bytes) * GB;
    return {
        figures: [figure],
        goals: [
            { what: `${(speed / 1e6).toFixed(0)} MB/s`, ok: speed >= 400e6 },
            { what: `${cost.toFixed(2)} CPU s/GB in the hub`, ok: cost <= 0.5 },
        ],
    };
}
