import { useEffect, useState } from "react";
import { getJson, RPCError } from "@polis/client/common";
import { isAccountName } from "@polis/client/format";

export const nameMin = 8;
export const nameMax = 10;

export type NameState = { state: "empty" | "checking" | "free" } | { state: "bad"; problem: string };

/** What is wrong with a new account's name, before anyone is asked. */
export function nameProblem(name: string): string | undefined {
  if (/[^a-z0-9-]/.test(name)) return "Use only a–z, 0–9 and hyphens.";
  if (name.startsWith("x-")) return "Names that start with x- belong to nodes.";
  if (name.startsWith("-") || name.includes("--")) return "A hyphen stands between two other characters.";
  if (name.length > nameMax) return `At most ${nameMax} characters.`;
  if (name.length < nameMin) return `At least ${nameMin} characters; ${nameMin - name.length} more.`;
  return isAccountName(name) ? undefined : "This name is not allowed.";
}

/** Whether a name may be taken; asks the chain once the typing pauses. */
export function useName(name: string): NameState {
  const [answer, setAnswer] = useState<{ name: string; state: NameState }>();
  const problem = name === "" ? undefined : nameProblem(name);
  useEffect(() => {
    if (name === "" || problem !== undefined) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      getJson(`/api/account?name=${name}`, stop.signal).then(
        () => setAnswer({ name, state: { state: "bad", problem: "Somebody has this name already." } }),
        (error: unknown) => {
          if (stop.signal.aborted) return;
          const free = error instanceof RPCError && error.status === 404;
          setAnswer({ name, state: free ? { state: "free" } : { state: "bad", problem: "The name cannot be checked now." } });
        },
      );
    }, 250);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [name, problem]);
  if (name === "") return { state: "empty" };
  if (problem !== undefined) return { state: "bad", problem };
  return answer?.name === name ? answer.state : { state: "checking" };
}
