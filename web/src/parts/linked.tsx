// Text from others with its web addresses as links. Text stays text: nothing else in it becomes anything.

/** An address, up to a space or a sign that does not end one. */
const ADDRESS = /https?:\/\/[^\s<>"'“”‘’（）【】，。！？；]+/gi;

/** Signs that end a sentence rather than an address. */
const TRAILING = /[.,;:!?)\]}*_~]+$/;

/** The text in pieces; those at odd places are addresses that a browser may open. */
export function split(text: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (const match of text.matchAll(ADDRESS)) {
    let address = match[0];
    // A bracket that was opened inside belongs to it.
    const rest = address.includes("(") ? /[.,;:!?\]}*_~]+$/ : TRAILING;
    address = address.replace(rest, "");
    if (!opens(address)) continue;
    pieces.push(text.slice(from, match.index), address);
    from = match.index + address.length;
  }
  pieces.push(text.slice(from));
  return pieces;
}

function opens(address: string): boolean {
  try {
    const { protocol, hostname, username } = new URL(address);
    // A name before an @ looks like the host that the link leads to, and is not.
    return (protocol === "http:" || protocol === "https:") && hostname !== "" && username === "";
  } catch {
    return false;
  }
}

export function Linked({ text }: { text: string }) {
  return (
    <>
      {split(text).map((piece, index) =>
        index % 2 === 0 ? (
          piece
        ) : (
          <a key={index} href={piece} target="_blank" rel="noopener noreferrer">
            {piece}
          </a>
        ),
      )}
    </>
  );
}
