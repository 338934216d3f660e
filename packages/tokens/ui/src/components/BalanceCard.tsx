import { Card, formatAmount, Notice, Toggle, useTask } from "@polis/client/ui";
import { setAutoDebit, unit, type Balances } from "../data/tokens.js";

export function BalanceCard({ balances, stale, onChange }: { balances: Balances; stale: boolean; onChange: () => void }) {
  const [main, ...others] = balances.balances;
  const receive = useTask(async (enabled: boolean) => {
    await setAutoDebit(enabled);
    onChange();
  });
  return (
    <Card>
      <div className="stack" style={{ gap: "1.1rem" }}>
        <div className="stack" style={{ gap: "0.1rem" }}>
          <p className="muted small">Balance</p>
          <p className="balance figures" aria-live="polite" data-testid="balance">
            {formatAmount(main?.balance ?? "0", main?.precision ?? 4)}
            {main ? <span className="unit"> {unit(main)}</span> : null}
          </p>
          {stale ? <p className="small" style={{ color: "var(--warn)" }} role="status">The node does not answer; this may be old.</p> : null}
        </div>
        {others.length > 0 ? (
          <dl className="holdings">
            {others.map((b) => (
              <div key={b.tokenId}><dt>{unit(b)}</dt><dd className="figures">{formatAmount(b.balance, b.precision)}</dd></div>
            ))}
          </dl>
        ) : null}
        <Toggle checked={balances.autoDebit} disabled={receive.running} onChange={(on) => void receive.run(on)}>
          Receive by itself
          <span className="muted small" style={{ display: "block" }}>
            {balances.autoDebit ? "What others send arrives at once." : "What others send waits until you accept it."}
          </span>
        </Toggle>
        {receive.error ? <Notice kind="bad">{receive.error}</Notice> : null}
      </div>
    </Card>
  );
}
