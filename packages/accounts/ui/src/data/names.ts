import { nameProblem as anyNameProblem, nameMax, useLookup } from "@polis/client/ui";

export { nameMax };
export const nameMin = 8;

export type NameState = { state: "empty" | "checking" | "free" } | { state: "bad"; problem: string };

/** What is wrong with a new account's name, before anyone is asked. */
export function nameProblem(name: string): string | undefined {
  if (name.startsWith("x-")) return "Names that start with x- belong to nodes.";
  // A hyphen at the end may yet get a character behind it.
  const problem = anyNameProblem(name.length < nameMin ? name.replace(/-$/, "") || name : name);
  if (problem === undefined && name.length < nameMin) return `At least ${nameMin} characters; ${nameMin - name.length} more.`;
  return problem;
}

/** Whether a name may be taken; asks the chain once the typing pauses. */
export function useName(name: string): NameState {
  const problem = name === "" ? undefined : nameProblem(name);
  const found = useLookup(problem === undefined ? name : "");
  if (name === "") return { state: "empty" };
  if (problem !== undefined) return { state: "bad", problem };
  if (found === "exists") return { state: "bad", problem: "Somebody has this name already." };
  if (found === "failed") return { state: "bad", problem: "The name cannot be checked now." };
  return { state: found === "free" ? "free" : "checking" };
}
