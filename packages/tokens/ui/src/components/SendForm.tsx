import { useState, type FormEvent } from "react";
import { Button, Card, Field, formatAmount, nameMax, nameProblem, Notice, useLookup, useTask } from "@polis/client/ui";
import { readAmount, wantedToken } from "../data/amount.js";
import { amountHint, findProblems } from "../data/checks.js";
import { memoBytesMax, send, unit, type Balance } from "../data/tokens.js";

export interface SendFormProps {
  account: string;
  /** Tokens that can be sent; never empty. */
  balances: Balance[];
  onSent: (sent: { text: string; transactionId: string }) => void;
}

const untouched: ReadonlySet<string> = new Set();

/** The amount may name its token: "5 psi". */
export function SendForm({ account, balances, onSent }: SendFormProps) {
  const [tokenId, setTokenId] = useState(() => (wantedToken(location.search, balances) ?? balances[0]!).tokenId);
  const [to, setTo] = useState("");
  const [amount, setAmount] = useState("");
  const [memo, setMemo] = useState("");
  // Parts that the person has left once, or all after an attempt to send: what is wrong with them is told.
  const [left, setLeft] = useState<ReadonlySet<string>>(untouched);
  const chosen = balances.find((b) => b.tokenId === tokenId) ?? balances[0]!;
  const draft = readAmount(amount, chosen, balances);
  const balance = draft.token;
  const receiver = useLookup(to !== "" && to !== account && nameProblem(to) === undefined ? to : "");
  const problems = findProblems({ account, to, draft, memo }, receiver);
  const told = (part: keyof typeof problems): string | undefined => (left.has(part) ? problems[part] : undefined);
  const leave = (...parts: (keyof typeof problems)[]): void => setLeft(new Set([...left, ...parts]));
  const transfer = useTask(async (units: string) => {
    const { transactionId } = await send({ tokenId: balance.tokenId, to, amount: units, memo });
    onSent({ text: `Sent ${formatAmount(units, balance.precision)} ${unit(balance)} to ${to}`, transactionId });
    setAmount("");
    setMemo("");
    setTo("");
    setLeft(untouched);
  });

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    leave("to", "amount", "memo");
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
          onBlur={() => to !== "" && leave("to")}
          error={told("to")}
          hint={told("to") ? undefined : receiver === "exists" ? `${to} is there.` : `The receiver's account: up to ${nameMax} of a–z, 0–9 and hyphens.`}
        />
        <Field
          label="Amount"
          inputMode="decimal"
          autoComplete="off"
          placeholder="0.00"
          suffix={unit(balance)}
          value={amount}
          onChange={(event) => setAmount(event.target.value)}
          onBlur={() => amount !== "" && leave("amount")}
          error={told("amount")}
          hint={told("amount") ? undefined : amountHint(balance)}
        />
        <Field
          label="Memo"
          placeholder="optional, for the receiver"
          autoComplete="off"
          value={memo}
          onChange={(event) => setMemo(event.target.value)}
          onBlur={() => leave("memo")}
          error={told("memo")}
          hint={told("memo") ? undefined : `Up to ${memoBytesMax} characters.`}
        />
        {transfer.error ? <Notice kind="bad">{transfer.error}</Notice> : null}
        <Button type="submit" kind="primary" wide busy={transfer.running}>Send</Button>
      </form>
    </Card>
  );
}
