import { useCallback, useEffect, useRef, useState } from "react";
import { RPCError } from "../common/index.js";

export interface Live<T> {
  /** The newest answer; undefined while the first is on its way. Kept when a later request fails. */
  data: T | undefined;
  /** Why the newest request failed, if it did. */
  error: RPCError | undefined;
  refresh: () => void;
}

interface LiveOptions<T> {
  /** Milliseconds between two requests; 0 asks once. */
  every?: number;
  /** Makes sense of the answer's text, or throws; the same function each time. JSON if not given. */
  read?: (text: string) => T;
}

const failureDelaysMs = [1000, 2000, 5000];

/**
 * Asks `url` again and again while the page is visible, and renders only when the answer changes.
 * A null url asks nothing.
 */
export function useLive<T>(url: string | null, { every = 0, read = readJson }: LiveOptions<T> = {}): Live<T> {
  const [state, setState] = useState<{ url: string | null; data?: T; error?: RPCError }>({ url });
  const again = useRef<() => void>(() => undefined);

  useEffect(() => {
    if (url === null) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let failures = 0;
    let last = "";
    let etag: string | null = null;
    let running = false;
    let repeat = false;
    const stop = new AbortController();

    const ask = async (): Promise<void> => {
      clearTimeout(timer);
      if (running) {
        repeat = true;
        return;
      }
      running = true;
      try {
        const { text, tag } = await fetchText(url, etag, stop.signal);
        etag = tag;
        failures = 0;
        if (text !== undefined && text !== last) {
          last = text;
          setState({ url, data: read(text) });
        } else setState((old) => (old.error ? { url, ...(old.data === undefined ? {} : { data: old.data }) } : old));
      } catch (error) {
        if (stop.signal.aborted) return;
        failures += 1;
        const reason = error instanceof RPCError ? error : new RPCError("The node's answer cannot be read.", 0);
        last = "";
        setState((old) => ({ url, error: reason, ...(old.url === url && old.data !== undefined ? { data: old.data } : {}) }));
      }
      running = false;
      if (repeat) {
        repeat = false;
        void ask();
      } else if (every > 0 && !document.hidden) {
        const delay = failures === 0 ? every : failureDelaysMs[Math.min(failures, failureDelaysMs.length) - 1]!;
        timer = setTimeout(() => void ask(), delay);
      }
    };
    const onVisible = (): void => {
      if (!document.hidden) void ask();
    };

    again.current = () => void ask();
    void ask();
    if (every > 0) document.addEventListener("visibilitychange", onVisible);
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [url, every, read]);

  const refresh = useCallback(() => again.current(), []);
  return state.url === url ? { data: state.data, error: state.error, refresh } : { data: undefined, error: undefined, refresh };
}

const readJson = <T>(text: string): T => JSON.parse(text) as T;

async function fetchText(url: string, etag: string | null, stop: AbortSignal): Promise<{ text?: string; tag: string | null }> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (etag !== null) headers["If-None-Match"] = etag;
  const signal = AbortSignal.any([stop, AbortSignal.timeout(15_000)]);
  let response: Response;
  try {
    response = await fetch(url, { headers, signal, cache: "no-store" });
  } catch (error) {
    if (stop.aborted) throw error;
    throw new RPCError("The node does not answer.", 0);
  }
  if (response.status === 304) return { tag: etag };
  const text = await response.text();
  if (!response.ok) throw new RPCError(reason(text, response.status), response.status);
  return { text, tag: response.headers.get("etag") };
}

function reason(text: string, status: number): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "error" in value && typeof value.error === "string") return value.error;
  } catch {
    // Plain text or HTML: the status says enough.
  }
  return `The node answered ${status}.`;
}

/** The time, renewed every `everyMs`, for texts such as "3 seconds ago". */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
