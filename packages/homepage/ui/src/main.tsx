import type { ReactNode } from "react";
import { siblingUrl } from "@polis/client/common";
import { Ago, Card, Id, mount, Notice, Shell } from "@polis/client/ui";
import { useApps, useChainId, useHead, useTotals } from "./data.js";
import { icons } from "./icons.js";
import "./homepage.css";

function Home() {
  return (
    <div className="stack" style={{ gap: "clamp(2rem, 5vw, 3.25rem)" }}>
      <section className="hero">
        <h1>A place on the web that belongs to the people who use it</h1>
        <p>
          This network keeps its accounts, its code and its pages in one chain that its members run themselves.
          Whatever you open here was served from that chain.
        </p>
      </section>
      <section aria-labelledby="apps" className="stack">
        <h2 id="apps">Apps</h2>
        <Apps />
      </section>
      <Status />
    </div>
  );
}

function Apps() {
  const { data, error } = useApps();
  if (!data && error) return <Notice kind="bad">The apps cannot be listed now: {error.message} This page keeps trying.</Notice>;
  return (
    <ul className="tiles" aria-busy={!data}>
      {data
        ? data.map(({ app, title, description }) => (
            <li key={app}>
              <a className="tile" href={siblingUrl(null, app, "/")}>
                <span className="tile-icon">{icons[app] ?? <strong aria-hidden="true">{title.slice(0, 1).toUpperCase()}</strong>}</span>
                <span className="stack" style={{ gap: "0.15rem", minWidth: 0 }}>
                  <strong>{title}</strong>
                  <span className="muted small">{description}</span>
                </span>
              </a>
            </li>
          ))
        : [0, 1, 2].map((place) => (
            <li key={place} className="tile" aria-hidden="true">
              <span className="skeleton tile-icon" />
              <span className="stack" style={{ gap: "0.4rem", flex: 1 }}>
                <span className="skeleton" style={{ width: "40%" }} />
                <span className="skeleton" style={{ width: "80%" }} />
              </span>
            </li>
          ))}
    </ul>
  );
}

function Status() {
  const head = useHead();
  const totals = useTotals();
  const chainId = useChainId();
  const waiting = <span className="skeleton" style={{ width: "6rem" }} />;
  const down = head.error !== undefined;
  const facts: [string, ReactNode][] = [
    ["Newest block", head.data ? <><span className="figures">{head.data.num.toLocaleString("en")}</span> <span className="muted">· <Ago time={head.data.time} /></span></> : down ? "unknown" : waiting],
    ["Final up to", head.data ? <span className="figures">{head.data.irreversible.toLocaleString("en")}</span> : down ? "unknown" : waiting],
    ["Produced by", head.data ? head.data.producer : down ? "unknown" : waiting],
    ["Accounts", totals.data ? <span className="figures">{totals.data.totalAccounts.toLocaleString("en")}</span> : totals.error ? "unknown" : waiting],
    ["Chain", chainId.data ? <Id value={chainId.data} /> : chainId.error ? "unknown" : waiting],
  ];
  return (
    <Card title="Status" aside={down ? <span className="badge">Not reachable</span> : <span className="badge good live">Running</span>}>
      <dl className="facts">
        {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
    </Card>
  );
}

mount(<Shell><Home /></Shell>);
