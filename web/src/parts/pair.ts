// Starts a pairing; the dialog itself is fetched when it is wanted.

import { api } from "../api";
import { putPairingAnswer } from "../state/store";
import { attempt, dialog } from "../state/ui";

export async function startPairing(id: string): Promise<void> {
  if (await attempt(async () => putPairingAnswer(await api.pair(id))))
    dialog.value = { kind: "pairing", host: id };
}
