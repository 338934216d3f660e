import { Avatar, Button, Card, formatAmount, Notice, useTask } from "@polis/client/ui";
import { accept, reject, takeBack, unit, usePending, type Pending } from "../data/tokens.js";
import { useRenewal } from "../data/settle.js";

/** What waits to be accepted, here or elsewhere. Shows nothing when nothing does. */
export function PendingList({ account, onChange }: { account: string; onChange: () => void }) {
  const { data, error, refresh } = usePending(account);
  useRenewal(error, refresh);
  if (!data || data.pending.length === 0) return null;
  const changed = (): void => {
    refresh();
    onChange();
  };
  return (
    <Card title="Waiting" flush>
      <ul className="list">
        {data.pending.map((pending) => (
          <Line key={`${pending.creditor}-${pending.debitor}-${pending.tokenId}`} pending={pending} account={account} onChange={changed} />
        ))}
      </ul>
    </Card>
  );
}

function Line({ pending, account, onChange }: { pending: Pending; account: string; onChange: () => void }) {
  const incoming = pending.debitor === account;
  const other = incoming ? pending.creditor : pending.debitor;
  const task = useTask(async (work: (pending: Pending) => Promise<unknown>) => {
    await work(pending);
    onChange();
  });
  return (
    <li>
      <div className="item">
        <Avatar name={other} />
        <span className="grow">
          <span className="title" style={{ display: "block" }}>{incoming ? `From ${other}` : `${other} has not taken`}</span>
          <span className="detail figures" style={{ display: "block" }}>{formatAmount(pending.amount, pending.precision)} {unit(pending)}</span>
        </span>
        {incoming ? (
          <span className="row" style={{ gap: "0.25rem" }}>
            <Button small kind="primary" busy={task.running} onClick={() => void task.run(accept)}>Accept</Button>
            <Button small kind="quiet" disabled={task.running} onClick={() => void task.run(reject)}>Return</Button>
          </span>
        ) : (
          <Button small busy={task.running} onClick={() => void task.run(takeBack)}>Take back</Button>
        )}
      </div>
      {task.error ? <div style={{ padding: "0 1.2rem 1rem" }}><Notice kind="bad">{task.error}</Notice></div> : null}
    </li>
  );
}
