// The present time for what counts down: drawn anew every second while it is shown.

import { useEffect, useState } from "preact/hooks";

export function useSecond(runs: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!runs) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [runs]);
  return now;
}
