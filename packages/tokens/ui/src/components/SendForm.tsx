import { useState, type FormEvent } from "react";
import { isAccountName } from "@polis/client/format";
import { Button, Card, Field, formatAmount, Notice, useTask } from "@polis/client/ui";
import { readAmount, wantedToken, type Draft } from "../data/amount.js";
import { memoBytesMax, send, unit, type Balance } from "../data/tokens.js";

export interface SendFormProps {
  account: string;
  /** Tokens that can be sent; never empty. */
  balances: Balance[];
  onSent: (sent: { text: string; transactionId: string }) => void;
}

/** The amount may name its token: "5 psi". */
export function SendForm({ account, balances, onSent }: SendFormProps) {
  const [tokenId, setTokenId] = useState(() => (wantedToken(location.search, balances) ?? balances[0]!).tokenId);
  const [to, setTo] = useState("");
  const [amount, setAmount] = useState("");
  const [memo, setMemo] = useState("");
  const [shown, setShown] = useState(false);
  const chosen = balances.find((b) => b.tokenId === tokenId) ?? balances[0]!;
  const draft = readAmount(amount, chosen, balances);
  const balance = draft.token;
  const problems = findProblems({ account, to, draft, memo });
  const transfer = useTask(async (units: string) => {
    const { transactionId } = await send({ tokenId: balance.tokenId, to, amount: units, memo });
    onSent({ text: `Sent ${formatAmount(units, balance.precision)} ${unit(balance)} to ${to}`, transactionId });
    setAmount("");
    setMemo("");
    setTo("");
    setShown(false);
  });

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setShown(true);
    if (Object.values(problems).every((p) => p === undefined) && "units" in draft) void transfer.run(draft.units);
  };

  return (
    <Card title="Send">
      <form className="stack" style={{ gap: "1.1rem" }} onSubmit={submit} noValidate>
        {balances.length > 1 ? (
          <div className="field">
            <label htmlFor="token">Token</label>
            <select
              id="token"
              className="input"
              value={balance.tokenId}
              onChange={(event) => {
                setTokenId(Number(event.target.value));
                setAmount(amount.replace(/[A-Za-z]/g, "").trim());
              }}
            >
              {balances.map((b) => <option key={b.tokenId} value={b.tokenId}>{unit(b)}</option>)}
            </select>
          </div>
        ) : null}
        <Field
          label="To"
          placeholder="account name"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          value={to}
          onChange={(event) => setTo(event.target.value.trim().toLowerCase())}
          error={shown ? problems.to : undefined}
        />
        <Field
          label="Amount"
          inputMode="decimal"
          autoComplete="off"
          placeholder="0.00"
          suffix={unit(balance)}
          value={amount}
          onChange={(event) => setAmount(event.target.value)}
          error={shown ? problems.amount : undefined}
        />
        <Field
          label="Memo"
          placeholder="optional, for the receiver"
          autoComplete="off"
          value={memo}
          onChange={(event) => setMemo(event.target.value)}
          error={shown ? problems.memo : undefined}
        />
        {transfer.error ? <Notice kind="bad">{transfer.error}</Notice> : null}
        <Button type="submit" kind="primary" wide busy={transfer.running}>Send</Button>
      </form>
    </Card>
  );
}

interface Form {
  account: string;
  to: string;
  draft: Draft;
  memo: string;
}

function findProblems({ account, to, draft, memo }: Form): Record<"to" | "amount" | "memo", string | undefined> {
  const { balance, precision } = draft.token;
  return {
    to: to === "" ? "Whom to?" : !isAccountName(to) ? "This is not an account name." : to === account ? "That is you." : undefined,
    amount: "problem" in draft ? draft.problem
      : BigInt(draft.units) > BigInt(balance) ? `You have ${formatAmount(balance, precision)} ${unit(draft.token)}.`
      : undefined,
    memo: new TextEncoder().encode(memo).length > memoBytesMax ? `At most ${memoBytesMax} characters.` : undefined,
  };
}
