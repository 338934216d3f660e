import { Card, Empty, Loading, Notice } from "@polis/client/ui";
import { Refused } from "../components/Refused.js";
import { networkOf, useMetrics, within, type Metrics, type NetworkFacts } from "../data/network.js";

/** How this node stands with the others, and how long it takes until something is final. */
export function NetworkPage() {
  const { data, error, refresh } = useMetrics();
  const facts = data ? networkOf(data) : undefined;
  return (
    <div className="stack" style={{ gap: "1.5rem" }}>
      <h1>Network</h1>
      {!data || !facts ? <Card flush>{error ? <Refused error={error} retry={refresh} /> : <Loading lines={4} />}</Card> : (
        <>
          {error ? <Notice kind="warn">The node does not answer; what you see may be old.</Notice> : null}
          <div className="columns even">
            <Standing facts={facts} />
            <Neighbours facts={facts} />
          </div>
          <Times metrics={data} />
        </>
      )}
    </div>
  );
}

const roles: Record<string, string> = {
  leader: "leads: it makes the blocks now",
  follower: "votes on the leader's blocks",
  candidate: "stands for election",
  observer: "follows the chain",
};
const count = (value: number): string => value.toLocaleString("en");

function Standing({ facts }: { facts: NetworkFacts }) {
  const behind = facts.head - facts.irreversible;
  const rows: [string, string][] = [
    ["Newest block", count(facts.head)],
    ["Final up to", behind > 0 ? `${count(facts.irreversible)} (${count(behind)} behind)` : count(facts.irreversible)],
  ];
  if (facts.role !== null) rows.unshift(["This node", roles[facts.role] ?? facts.role]);
  if (facts.term !== null) rows.push(["Term", count(facts.term)]);
  if (facts.termChanges !== null) rows.push(["Changes of term", count(facts.termChanges)]);
  if (facts.elections !== null) rows.push(["Elections begun here", count(facts.elections)]);
  return (
    <Card title="Agreement">
      <dl className="facts">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="figures">{value}</dd></div>)}</dl>
    </Card>
  );
}

function Neighbours({ facts: { peers } }: { facts: NetworkFacts }) {
  return (
    <Card title="Neighbours" aside={<span className="badge figures">{peers}</span>}>
      {peers === 0 ? <Empty title="No other node is connected">Give this one the address of another with <code className="mono">--peer URL</code>, or let others in with <code className="mono">--p2p</code>.</Empty> : (
        <p>{peers === 1 ? "One other node is connected." : `${count(peers)} other nodes are connected.`}</p>
      )}
    </Card>
  );
}

const times: [string, string][] = [
  ["polis_push_applied_seconds", "A transaction pushed here is executed"],
  ["polis_push_final_seconds", "… and final"],
];

function Times({ metrics }: { metrics: Metrics }) {
  return (
    <Card title="How long it takes, since the node started">
      <table className="times">
        <thead><tr><th scope="col">Until</th><th scope="col">Half of them</th><th scope="col">99 of 100</th><th scope="col">Counted</th></tr></thead>
        <tbody>
          {times.map(([name, text]) => (
            <tr key={name}>
              <th scope="row">{text}</th>
              <td className="figures">{within(metrics, name, 0.5)}</td>
              <td className="figures">{within(metrics, name, 0.99)}</td>
              <td className="figures">{count(metrics.get(`${name}_count`)?.[0]?.value ?? 0)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
