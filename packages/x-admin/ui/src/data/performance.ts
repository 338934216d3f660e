import { useEffect, useRef, useState } from "react";
import { useLive, type Live } from "@polis/client/ui";

/** The node's figures. Numbers are decimal strings. Source: /native/admin/perf. */
export interface Figures {
  /** Microseconds since some moment. */
  timestamp: string;
  memory: Record<"database" | "code" | "data" | "wasmMemory" | "wasmCode" | "unclassified", string>;
  tasks: { id: number; group: string; user: string; system: string; pageFaults: string; read: string; written: string }[];
  transactions: Record<"unprocessed" | "total" | "failed" | "succeeded" | "skipped", string>;
}

export const useFigures = (): Live<Figures> => useLive("/native/admin/perf", { every: 1000 });

const groupNames: Record<string, string> = {
  chain: "Making blocks",
  net: "Connections",
  query: "Answering pages",
  run: "Work in the background",
  store: "Saving to disk",
};

export interface Load {
  /** Share of one processor, by kind of work, the busiest first. */
  groups: { name: string; share: number }[];
  transactionsPerSecond: number;
}

/** What happened between two looks. Null when nothing can be said yet, or the node was started in between. */
export function loadBetween(before: Figures, after: Figures): Load | null {
  const elapsed = Number(after.timestamp) - Number(before.timestamp);
  if (!(elapsed > 0)) return null;
  const old = new Map(before.tasks.map((task) => [task.id, Number(task.user) + Number(task.system)]));
  const shares = new Map<string, number>();
  for (const task of after.tasks) {
    const used = Number(task.user) + Number(task.system) - (old.get(task.id) ?? 0);
    const name = groupNames[task.group] ?? "Other";
    shares.set(name, (shares.get(name) ?? 0) + Math.max(0, used) / elapsed);
  }
  const transactions = Number(after.transactions.total) - Number(before.transactions.total);
  if (transactions < 0) return null;
  return {
    groups: [...shares].map(([name, share]) => ({ name, share })).sort((a, b) => b.share - a.share || a.name.localeCompare(b.name)),
    transactionsPerSecond: (transactions * 1e6) / elapsed,
  };
}

/** Looks over which the load is taken: the system counts processor time in hundredths of a second. */
const looks = 5;

/** The load of the last seconds, and the busy share so far, the newest last. */
export function useLoad(figures: Figures | undefined): { load: Load | null; history: number[] } {
  const last = useRef<Figures[]>([]);
  const [state, setState] = useState<{ load: Load | null; history: number[] }>({ load: null, history: [] });
  useEffect(() => {
    if (!figures) return;
    const before = last.current[0];
    const load = before ? loadBetween(before, figures) : null;
    // Nothing from before a restart is compared with.
    last.current = [...(before && !load ? [] : last.current), figures].slice(-looks);
    if (!load) return;
    const busy = load.groups.reduce((sum, group) => sum + group.share, 0);
    setState((old) => ({ load, history: [...old.history, busy].slice(-60) }));
  }, [figures]);
  return state;
}

/** "12.3 MB" */
export function bytesText(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
