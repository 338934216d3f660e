// Account names that a person types: what is wrong with one, and whether it is somebody's.

import { useEffect, useState } from "react";
import { getJson, RPCError, siblingUrl } from "../common/index.js";
import { isAccountName } from "../format/index.js";

export const nameMax = 10;

/** What is wrong with the name of an account, new or not; undefined: nothing. */
export function nameProblem(name: string): string | undefined {
  if (/[^a-z0-9-]/.test(name)) return "Use only a–z, 0–9 and hyphens.";
  if (name.startsWith("-") || name.endsWith("-") || name.includes("--")) return "A hyphen stands between two other characters.";
  if (name.length > nameMax) return `At most ${nameMax} characters.`;
  return isAccountName(name) ? undefined : "This name is not allowed.";
}

/** idle: nothing to ask. failed: the node does not answer. */
export type Lookup = "idle" | "checking" | "exists" | "free" | "failed";

/** Whether somebody has this name; asks the chain once the typing pauses. Empty: asks nothing. */
export function useLookup(name: string): Lookup {
  const [answer, setAnswer] = useState<{ name: string; found: Lookup }>();
  useEffect(() => {
    if (name === "") return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      getJson(siblingUrl(null, "accounts", `/api/account?name=${encodeURIComponent(name)}`), stop.signal).then(
        () => setAnswer({ name, found: "exists" }),
        (error: unknown) => {
          if (stop.signal.aborted) return;
          setAnswer({ name, found: error instanceof RPCError && error.status === 404 ? "free" : "failed" });
        },
      );
    }, 250);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [name]);
  if (name === "") return "idle";
  return answer?.name === name ? answer.found : "checking";
}
