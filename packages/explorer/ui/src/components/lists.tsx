import { useEffect, useRef, useState } from "react";
import { Ago, Id } from "@polis/client/ui";
import { blockUrl, transactionUrl, type ActionLine, type BlockLine } from "../data/chain.js";

export interface TransactionItem {
  id: string;
  actions: ActionLine[];
  time?: string;
}

export function BlockList({ blocks }: { blocks: BlockLine[] }) {
  const fresh = useArrivals(blocks.map((block) => block.id));
  return (
    <ul className="list" aria-label="Blocks">
      {blocks.map((block) => (
        <li key={block.id} className={fresh.has(block.id) ? "new" : ""}>
          <a className="item" href={blockUrl(block.num)}>
            <span className="grow">
              <span className="title figures" style={{ display: "block" }}>{block.num.toLocaleString("en")}</span>
              <span className="detail" style={{ display: "block" }}><Ago time={block.time} /> · {block.producer}</span>
            </span>
            <span className={block.transactions > 0 ? "badge good" : "badge"}>{count(block.transactions)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

export function TransactionList({ transactions }: { transactions: TransactionItem[] }) {
  const fresh = useArrivals(transactions.map((transaction) => transaction.id));
  return (
    <ul className="list" aria-label="Transactions">
      {transactions.map(({ id, actions, time }) => (
        <li key={id} className={fresh.has(id) ? "new" : ""}>
          <a className="item" href={transactionUrl(id)}>
            <span className="grow">
              <span className="title" style={{ display: "block" }}>{summary(actions)}</span>
              <span className="detail mono" style={{ display: "block" }}>{id.slice(0, 12)}…</span>
            </span>
            <span className="right small muted">
              {actions[0] ? <span style={{ display: "block" }}>{actions[0].sender || "the chain"}</span> : null}
              {time ? <Ago time={time} /> : null}
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}

export function summary(actions: ActionLine[]): string {
  const first = actions[0];
  if (!first) return "No action";
  const text = [first.service, first.method].filter(Boolean).join(" · ");
  return actions.length === 1 ? text : `${text} and ${actions.length - 1} more`;
}

export function count(transactions: number): string {
  return transactions === 0 ? "empty" : transactions === 1 ? "1 transaction" : `${transactions.toLocaleString("en")} transactions`;
}

export function Hash({ value, href }: { value: string; href?: string }) {
  return <Id value={value} whole {...(href ? { href } : {})} />;
}

function useArrivals(ids: string[]): Set<string> {
  const seen = useRef<Set<string>>(undefined);
  const [fresh, setFresh] = useState(new Set<string>());
  const joined = ids.join();
  useEffect(() => {
    const now = joined === "" ? [] : joined.split(",");
    if (seen.current && seen.current.size > 0) {
      const arrived = now.filter((id) => !seen.current!.has(id));
      if (arrived.length > 0) setFresh(new Set(arrived));
    }
    seen.current = new Set(now);
  }, [joined]);
  return fresh;
}
