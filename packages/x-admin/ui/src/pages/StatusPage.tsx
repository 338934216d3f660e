import { useEffect, useState, type ReactNode } from "react";
import { siblingUrl } from "@polis/client/common";
import { Ago, Button, Card, Copy, Id, Loading, Notice, Toggle, useTask } from "@polis/client/ui";
import { Refused } from "../components/Refused.js";
import { admission, boot, useChain, useStatus, type Admission, type Chain, type Condition } from "../data/node.js";

/** What the node is doing, and the start of a network. */
export function StatusPage() {
  const status = useStatus();
  const chain = useChain();
  const [invitation, setInvitation] = useState<string | null>();
  const error = status.error ?? chain.error;
  const [entry, setEntry] = useState<Admission>();
  useEffect(() => {
    void admission?.then((result) => {
      setEntry(result);
      status.refresh();
      chain.refresh();
    });
    // The live values' refresh functions never change.
  }, []);
  return (
    <div className="stack" style={{ gap: "1.5rem" }}>
      <div className="row between">
        <h1>This node</h1>
        {status.data ? <State conditions={status.data} /> : null}
      </div>
      {entry ? <Notice kind={entry.admitted ? "info" : "bad"}>{entry.message}</Notice> : null}
      {invitation === undefined ? null : <Booted invitation={invitation} />}
      {!status.data || !chain.data ? (
        <Card flush>
          {!error ? <Loading /> : <Refused error={error} retry={() => {
            status.refresh();
            chain.refresh();
          }} />}
        </Card>
      ) : (
        <>
          {error ? <Notice kind="warn">The node does not answer; what you see may be old.</Notice> : null}
          {status.data.includes("needgenesis") && invitation === undefined ? <Start producer={chain.data.producer} unguarded={chain.data.unguarded} onBooted={setInvitation} /> : null}
          {chain.data.unguarded && chain.data.chainId !== null ? (
            <Notice kind="bad">
              This chain has no lock: its producer has no key, so whoever reaches this node may act for it, change every service and take every account.
              It is for trying out on one machine. A chain for others is started with <code className="mono">--key FILE</code>.
            </Notice>
          ) : null}
          <Facts chain={chain.data} />
        </>
      )}
    </div>
  );
}

function State({ conditions }: { conditions: Condition[] }) {
  if (conditions.includes("shutdown")) return <span className="badge">Stopping</span>;
  if (conditions.includes("startup")) return <span className="badge">Starting</span>;
  if (conditions.includes("needgenesis")) return <span className="badge">No chain yet</span>;
  return <span className="badge good live">Running</span>;
}

function Start({ producer, unguarded, onBooted }: { producer: string; unguarded: boolean; onBooted: (invitation: string | null) => void }) {
  // On a machine of one's own nobody else is there; elsewhere anybody could act for a producer without a key.
  const [withKey, setWithKey] = useState(!location.hostname.endsWith("localhost"));
  const start = useTask(async () => onBooted(await boot(withKey)));
  return (
    <Card title="Start a network">
      {unguarded && producer !== "" ? (
        <Notice kind="bad">
          {producer} has no key: whoever reaches this node may then act for it and take the whole chain. For others, start the node
          with <code className="mono">--key FILE</code> first.
        </Notice>
      ) : null}
      {producer === "" ? (
        <p>This node may not make blocks yet. Start it with <code className="mono">--producer NAME</code> to begin a network here.</p>
      ) : (
        <div className="stack">
          <p>
            This makes a new chain with <strong>{producer}</strong> as its only producer and the default apps, and the first invitation.
            It takes a few seconds.
          </p>
          <Toggle checked={withKey} disabled={start.running} onChange={setWithKey}>
            Give {producer} a key
            <span className="muted small" style={{ display: "block" }}>
              {withKey ? "It is made on the node and kept in its folder “keys”. Only who has it acts for the producer."
                : "For trying things out: anybody who reaches this network may act for the producer."}
            </span>
          </Toggle>
          {start.error ? <Notice kind="bad">{start.error}</Notice> : null}
          <div><Button kind="primary" busy={start.running} onClick={() => void start.run()}>{start.running ? "Creating the chain" : "Create the chain"}</Button></div>
        </div>
      )}
    </Card>
  );
}

function Booted({ invitation }: { invitation: string | null }) {
  return (
    <Card title="The network is up">
      <div className="stack">
        {invitation === null ? <p>No invitation was made.</p> : (
          <>
            <p>With this link the first members make their accounts. It is shown once.</p>
            <p className="row"><a className="mono break grow" href={invitation}>{invitation}</a><Copy value={invitation} /></p>
          </>
        )}
        <div><a className="button" href={siblingUrl(null, null, "/")}>Open the homepage</a></div>
      </div>
    </Card>
  );
}

function Facts({ chain }: { chain: Chain }) {
  const block = ({ num, time }: Chain["head"]): ReactNode => (
    <><span className="figures">{num.toLocaleString("en")}</span>{time ? <span className="muted"> · <Ago time={time} /></span> : null}</>
  );
  const facts: [string, ReactNode][] = [
    ["Version", chain.version],
    ["Producer", chain.producer || "does not produce"],
  ];
  if (chain.chainId !== null)
    facts.push(["Newest block", block(chain.head)], ["Final up to", block(chain.irreversible)], ["Chain", <Id key="chain" value={chain.chainId} />]);
  return (
    <Card title="Status">
      <dl className="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </Card>
  );
}
