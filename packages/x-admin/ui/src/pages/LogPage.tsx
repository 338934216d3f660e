import { useState } from "react";
import { Button, Card, Empty, Loading } from "@polis/client/ui";
import { Refused } from "../components/Refused.js";
import { useLog, type Connection, type LogRecord, type Severity } from "../data/log.js";
import { useStatus } from "../data/node.js";

const choices: [Severity, string][] = [["debug", "Everything"], ["info", "What happens"], ["warning", "Warnings and errors"], ["error", "Errors only"]];

/** What the node writes, as it writes it. */
export function LogPage() {
  const status = useStatus();
  const [least, setLeast] = useState<Severity>("info");
  return (
    <div className="stack" style={{ gap: "1.5rem" }}>
      <h1>Log</h1>
      {status.data ? <Follow key={least} least={least} onLeast={setLeast} /> : (
        <Card flush>{status.error ? <Refused error={status.error} retry={status.refresh} /> : <Loading lines={4} />}</Card>
      )}
    </div>
  );
}

function Follow({ least, onLeast }: { least: Severity; onLeast: (least: Severity) => void }) {
  const { records, connection, clear } = useLog(least);
  const [held, setHeld] = useState<LogRecord[]>();
  const [words, setWords] = useState("");
  const wanted = words.trim().toLowerCase();
  const all = held ?? records;
  const shown = wanted === "" ? all : all.filter(({ message, service }) => `${service ?? ""} ${message}`.toLowerCase().includes(wanted));
  return (
    <>
      <div className="log-tools">
        <div className="field">
          <label htmlFor="least">Show</label>
          <select id="least" className="input" value={least} onChange={(event) => onLeast(event.target.value as Severity)}>
            {choices.map(([severity, text]) => <option key={severity} value={severity}>{text}</option>)}
          </select>
        </div>
        <div className="field grow">
          <label htmlFor="words">Containing</label>
          <input id="words" className="input" type="search" placeholder="any words" autoComplete="off" spellCheck={false} value={words} onChange={(event) => setWords(event.target.value)} />
        </div>
        <div className="row">
          <Button aria-pressed={held !== undefined} onClick={() => setHeld(held ? undefined : records)}>{held ? "Go on" : "Pause"}</Button>
          <Button kind="quiet" onClick={() => {
            clear();
            if (held) setHeld([]);
          }}>Clear</Button>
        </div>
      </div>
      <Card title="Newest first" flush aside={<State connection={connection} paused={held !== undefined} />}>
        {shown.length > 0 ? (
          <ol className="log" role="log" aria-label="Log" aria-live="off">{shown.map((record) => <Line key={record.key} record={record} />)}</ol>
        ) : connection === "connecting" ? <Loading lines={4} />
          : wanted !== "" && all.length > 0 ? <Empty title="Nothing contains that">{`${all.length} ${all.length === 1 ? "line is" : "lines are"} here, without these words.`}</Empty>
          : connection === "lost" ? <Empty title="The node does not answer">The log goes on by itself when it is back.</Empty>
          : <Empty title="All quiet">What the node writes from now on appears here.</Empty>}
      </Card>
    </>
  );
}

function State({ connection, paused }: { connection: Connection; paused: boolean }) {
  if (connection === "lost") return <span className="badge warn">Connecting again</span>;
  if (paused) return <span className="badge">Paused</span>;
  return connection === "open" ? <span className="badge good live">Live</span> : <span className="badge">Connecting</span>;
}

const names: Record<Severity, string> = { debug: "detail", info: "info", warning: "warning", error: "error" };

function Line({ record: { time, severity, service, message } }: { record: LogRecord }) {
  const at = new Date(time);
  return (
    <li className={severity}>
      <time dateTime={time} title={at.toLocaleString()} className="figures">{Number.isNaN(at.getTime()) ? time : at.toLocaleTimeString([], { hour12: false })}</time>
      <span className="severity">{names[severity]}</span>
      <span className="message break">{service ? <strong>{service}: </strong> : null}{message}</span>
    </li>
  );
}
