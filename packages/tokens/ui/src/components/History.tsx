import { useEffect, useRef, useState } from "react";
import { Ago, Avatar, Button, Card, Empty, Failed, formatAmount, LiveBadge, Loading } from "@polis/client/ui";
import { accountUrl, unit, useHistory, type Entry } from "../data/tokens.js";

const pageSize = 20;

const words: Record<string, string> = {
  credited: "Sent",
  debited: "Received",
  uncredited: "Taken back",
  rejected: "Returned",
  minted: "Made",
  burned: "Destroyed",
  recalled: "Recalled",
};

export function History({ account }: { account: string }) {
  const [limit, setLimit] = useState(pageSize);
  const history = useHistory(account, limit);
  const newest = useNewest(history.data?.entries);
  return (
    <Card title="History" flush aside={<LiveBadge error={history.error} />}>
      {history.data ? (
        history.data.entries.length === 0 ? (
          <Empty title="Nothing yet">What you send and receive is listed here.</Empty>
        ) : (
          <>
            <ul className="list" aria-label="Transfers">
              {history.data.entries.map((entry) => <Line key={entry.seq} entry={entry} fresh={newest.has(entry.seq)} />)}
            </ul>
            {history.data.next !== null && limit < 100 ? (
              <div style={{ padding: "0.75rem", textAlign: "center" }}>
                <Button kind="quiet" small onClick={() => setLimit(Math.min(100, limit + pageSize))}>Show more</Button>
              </div>
            ) : null}
          </>
        )
      ) : history.error ? <Failed message={history.error.message} retry={history.refresh} /> : <Loading lines={4} />}
    </Card>
  );
}

function Line({ entry, fresh }: { entry: Entry; fresh: boolean }) {
  const sign = entry.direction === "in" ? "+" : entry.direction === "out" ? "−" : "";
  return (
    <li className={fresh ? "new" : ""}>
      <a className="item" href={accountUrl(entry.counterParty)}>
        <Avatar name={entry.counterParty || "?"} />
        <span className="grow">
          <span className="title" style={{ display: "block" }}>{entry.counterParty || "This token"}</span>
          <span className="detail" style={{ display: "block" }}>
            {words[entry.action] ?? entry.action} · <Ago time={entry.time} />
            {entry.memo ? <span className="memo"> · {entry.memo}</span> : null}
          </span>
        </span>
        <span className="figures nowrap right" style={{ fontWeight: 580, ...(entry.direction === "in" ? { color: "var(--good)" } : {}) }}>
          {sign}{formatAmount(entry.amount, entry.precision)}
          <span className="muted small" style={{ display: "block", fontWeight: 400 }}>{unit(entry)}</span>
        </span>
      </a>
    </li>
  );
}

/** Which entries came after the first look, so that only those light up. */
function useNewest(entries: Entry[] | undefined): Set<string> {
  const seen = useRef<Set<string>>(undefined);
  const [fresh, setFresh] = useState(new Set<string>());
  useEffect(() => {
    if (!entries) return;
    const now = new Set(entries.map((entry) => entry.seq));
    if (seen.current) {
      const arrived = [...now].filter((seq) => !seen.current!.has(seq));
      if (arrived.length > 0) setFresh(new Set(arrived));
    }
    seen.current = new Set([...(seen.current ?? []), ...now]);
  }, [entries]);
  return fresh;
}
