import { Card, Loading, Notice } from "@polis/client/ui";
import { Refused } from "../components/Refused.js";
import { bytesText, useFigures, useLoad, type Figures, type Load } from "../data/performance.js";

const memoryNames: [keyof Figures["memory"], string][] = [
  ["database", "The chain's state"],
  ["wasmCode", "Compiled services"],
  ["wasmMemory", "Memory of services"],
  ["code", "The program itself"],
  ["data", "Its fixed data"],
  ["unclassified", "All else"],
];

/** How busy the node is, and with what. */
export function PerformancePage() {
  const { data, error, refresh } = useFigures();
  const { load, history } = useLoad(data);
  return (
    <div className="stack" style={{ gap: "1.5rem" }}>
      <h1>Performance</h1>
      {!data ? <Card flush>{error ? <Refused error={error} retry={refresh} /> : <Loading lines={4} />}</Card> : (
        <>
          {error ? <Notice kind="warn">The node does not answer; what you see may be old.</Notice> : null}
          <div className="columns even">
            <Processor load={load} history={history} />
            <Memory memory={data.memory} />
          </div>
          <Transactions transactions={data.transactions} load={load} />
        </>
      )}
    </div>
  );
}

const percent = (share: number): string => `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;

function Processor({ load, history }: { load: Load | null; history: number[] }) {
  const busy = load?.groups.reduce((sum, group) => sum + group.share, 0) ?? 0;
  return (
    <Card title="Processor">
      {load === null ? <Loading lines={2} label="Measuring" /> : (
        <div className="stack">
          <p className="big figures">{percent(busy)} <span className="muted small">of one processor</span></p>
          {history.length > 1 ? <History values={history} /> : null}
          <dl className="bars">{load.groups.map(({ name, share }) => <Bar key={name} name={name} text={percent(share)} share={Math.min(1, share)} />)}</dl>
        </div>
      )}
    </Card>
  );
}

function Memory({ memory }: { memory: Figures["memory"] }) {
  const total = Object.values(memory).reduce((sum, bytes) => sum + Number(bytes), 0);
  return (
    <Card title="Memory">
      <div className="stack">
        <p className="big figures">{bytesText(total)}</p>
        <dl className="bars">
          {memoryNames.map(([key, name]) => (
            <Bar key={key} name={name} text={bytesText(Number(memory[key]))} share={total > 0 ? Number(memory[key]) / total : 0} />
          ))}
        </dl>
      </div>
    </Card>
  );
}

function Transactions({ transactions, load }: { transactions: Figures["transactions"]; load: Load | null }) {
  const count = (text: string): string => Number(text).toLocaleString("en");
  const facts: [string, string][] = [
    ["Now", load === null ? "…" : `${load.transactionsPerSecond < 10 ? load.transactionsPerSecond.toFixed(1) : Math.round(load.transactionsPerSecond).toLocaleString("en")} a second`],
    ["In blocks", count(transactions.succeeded)],
    ["Refused", count(transactions.failed)],
  ];
  return (
    <Card title="Transactions since the node started">
      <dl className="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="figures">{value}</dd></div>)}</dl>
    </Card>
  );
}

function Bar({ name, text, share }: { name: string; text: string; share: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="figures">{text}</dd>
      <span className="track" aria-hidden="true"><span style={{ width: `${share * 100}%` }} /></span>
    </div>
  );
}

/** The last minute. */
function History({ values }: { values: number[] }) {
  const top = Math.max(1, ...values);
  const points = values.map((value, i) => `${(100 * (i + 60 - values.length)) / 59},${28 - (26 * value) / top}`).join(" ");
  return (
    <svg className="history" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
