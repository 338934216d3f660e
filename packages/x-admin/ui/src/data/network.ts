import { useLive, type Live } from "@polis/client/ui";

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** Samples by their whole name, as `polis_peers`. */
export type Metrics = Map<string, Sample[]>;

/** The node's metrics. Source: /native/admin/metrics, OpenMetrics text. */
export const useMetrics = (): Live<Metrics> => useLive("/native/admin/metrics", { every: 1000, read: readMetrics });

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Reads what the node writes. Throws when it is not whole. */
export function readMetrics(text: string): Metrics {
  if (!text.endsWith("# EOF\n")) throw new Error("The metrics are not whole.");
  const out: Metrics = new Map();
  for (const one of text.split("\n")) {
    const [, name, labels = "", value] = line.exec(one) ?? [];
    if (name === undefined) continue;
    const sample: Sample = { labels: {}, value: value === "+Inf" ? Infinity : Number(value) };
    for (const [, key = "", quoted = ""] of labels.matchAll(label)) sample.labels[key] = quoted.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
    const others = out.get(name);
    if (others) others.push(sample);
    else out.set(name, [sample]);
  }
  return out;
}

export interface NetworkFacts {
  head: number;
  irreversible: number;
  /** Null where nothing is voted on. */
  role: string | null;
  term: number | null;
  termChanges: number | null;
  elections: number | null;
  /** Connections to other nodes. */
  peers: number;
}

export function networkOf(metrics: Metrics): NetworkFacts {
  const one = (name: string): number | null => metrics.get(name)?.[0]?.value ?? null;
  return {
    head: one("polis_head_block") ?? 0,
    irreversible: one("polis_irreversible_block") ?? 0,
    role: metrics.get("polis_role")?.find(({ value }) => value === 1)?.labels["polis_role"] ?? null,
    term: one("polis_term"),
    termChanges: one("polis_term_changes_total"),
    elections: one("polis_elections_total"),
    peers: one("polis_peers") ?? 0,
  };
}

/** The time within which a share of what a histogram counted was done, as a person says it. */
export function within(metrics: Metrics, name: string, share: number): string {
  const count = metrics.get(`${name}_count`)?.[0]?.value ?? 0;
  if (count === 0) return "–";
  const found = metrics.get(`${name}_bucket`)?.find(({ value }) => value >= share * count)?.labels["le"];
  if (found === undefined || found === "+Inf") return "longer";
  const seconds = Number(found);
  return seconds < 1 ? `within ${Math.round(seconds * 1000)} ms` : `within ${seconds} s`;
}
