import { useState } from "react";
import { getSupervisor, siblingUrl } from "@polis/client/common";
import { AccountMenu, Avatar, Button, Card, Empty, Failed, formatAmount, Loading, mount, Notice, Shell, useTask, useUser } from "@polis/client/ui";
import { dispense, precision, useBalances, useToken } from "./data.js";

function App() {
  const { user, reload } = useUser();
  const token = useToken();
  const connect = useTask(() => getSupervisor().connect());
  const amount = token.data ? formatAmount(token.data.amount, precision) : undefined;
  return (
    <Shell title="Faucet" end={<AccountMenu user={user} onChange={reload} />}>
      <div className="narrow stack" style={{ gap: "1.5rem" }}>
        <div className="stack" style={{ gap: "0.5rem" }}>
          <h1>Test tokens</h1>
          <p className="muted">
            This network is for trying things out, and its tokens are worth nothing elsewhere.
            {amount ? ` You get ${amount} at a time.` : ""}
          </p>
        </div>
        <Card>
          {user.state === "loading" ? <Loading lines={1} />
            : user.state === "failed" ? <Failed message={user.message} retry={reload} />
            : user.state === "connected" ? <Tap account={user.account} tokenId={token.data?.tokenId} amount={amount} />
            : <Empty title="Who is it for?" action={<Button kind="primary" busy={connect.running} onClick={() => void connect.run()}>Choose account</Button>}>
                Choose the account that gets the tokens. You are asked once.
                {connect.error ? <span role="alert" style={{ display: "block", color: "var(--danger)" }}>{connect.error}</span> : null}
              </Empty>}
        </Card>
      </div>
    </Shell>
  );
}

function Tap({ account, tokenId, amount }: { account: string; tokenId: number | undefined; amount: string | undefined }) {
  const [given, setGiven] = useState(0);
  const { data, refresh } = useBalances(account);
  const give = useTask(async () => {
    await dispense(account);
    setGiven((count) => count + 1);
    refresh();
  });
  const balance = data?.balances.find((b) => b.tokenId === tokenId);
  const unit = balance?.symbol?.toUpperCase() ?? "";
  return (
    <div className="stack" style={{ gap: "1.2rem" }}>
      <div className="row">
        <Avatar name={account} size={44} />
        <div>
          <strong>{account}</strong>
          <p className="muted small figures">{data ? `Has ${formatAmount(balance?.balance ?? "0", balance?.precision ?? precision)} ${unit}` : "…"}</p>
        </div>
      </div>
      <div className="stack" aria-live="polite">
        <Button kind="primary" wide busy={give.running} onClick={() => void give.run()}>Get {amount ?? ""} test tokens</Button>
        {given > 0 ? (
          <Notice action={<a href={siblingUrl(null, "tokens", "/")}>Open tokens</a>}>
            Sent{given > 1 ? ` ${given} times` : ""}. If they do not show, they wait in the tokens app to be accepted.
          </Notice>
        ) : null}
      </div>
      {give.error ? <Notice kind="bad">{give.error}</Notice> : null}
    </div>
  );
}

mount(<App />);
