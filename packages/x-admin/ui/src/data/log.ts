import { useCallback, useEffect, useRef, useState } from "react";

export type Severity = "debug" | "info" | "warning" | "error";

export interface LogRecord {
  key: number;
  time: string;
  severity: Severity;
  /** The service that spoke; the node itself where there is none. */
  service: string | undefined;
  message: string;
}

export type Connection = "connecting" | "open" | "lost";

const recordsMax = 500;
const recentWanted = 200;
const delaysMs = [1000, 2000, 5000];
const severities: readonly string[] = ["debug", "info", "warning", "error"];

/** One message of the node's log; undefined for anything else. */
export function readRecord(text: string, key: number): LogRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { TimeStamp, Severity, Message, Service } = value as Record<string, unknown>;
  if (typeof TimeStamp !== "string" || typeof Severity !== "string" || typeof Message !== "string") return undefined;
  return {
    key,
    time: TimeStamp,
    severity: (severities.includes(Severity) ? Severity : "info") as Severity,
    service: typeof Service === "string" ? Service : undefined,
    message: Message,
  };
}

/** Follows the node's log, newest first. `least`: the lowest severity that is wanted. */
export function useLog(least: Severity): { records: LogRecord[]; connection: Connection; clear: () => void } {
  const [records, setRecords] = useState<LogRecord[]>([]);
  const [connection, setConnection] = useState<Connection>("connecting");
  const next = useRef(0);

  useEffect(() => {
    let socket: WebSocket | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let failures = 0;
    let ended = false;
    let waiting: LogRecord[] = [];
    let frame = 0;
    // A burst is shown at once, not record by record.
    const show = (): void => {
      frame = 0;
      const arrived = waiting;
      waiting = [];
      setRecords((old) => [...arrived.reverse(), ...old].slice(0, recordsMax));
    };
    const open = (): void => {
      socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/native/admin/log`);
      socket.onopen = () => {
        failures = 0;
        waiting = [];
        setRecords([]);
        setConnection("open");
        socket?.send(JSON.stringify({ filter: `Severity >= ${least}`, recent: recentWanted }));
      };
      socket.onmessage = ({ data }: MessageEvent<unknown>) => {
        const record = typeof data === "string" ? readRecord(data, next.current++) : undefined;
        if (!record) return;
        waiting.push(record);
        if (frame === 0) frame = requestAnimationFrame(show);
      };
      socket.onclose = () => {
        if (ended) return;
        setConnection("lost");
        timer = setTimeout(open, delaysMs[Math.min(failures++, delaysMs.length - 1)]);
      };
    };
    open();
    return () => {
      ended = true;
      clearTimeout(timer);
      cancelAnimationFrame(frame);
      socket?.close();
    };
  }, [least]);

  return { records, connection, clear: useCallback(() => setRecords([]), []) };
}
