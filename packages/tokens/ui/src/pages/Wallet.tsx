import { useCallback, useState } from "react";
import { Card, Empty, Failed, Loading, Notice } from "@polis/client/ui";
import { BalanceCard } from "../components/BalanceCard.js";
import { History } from "../components/History.js";
import { PendingList } from "../components/PendingList.js";
import { SendForm } from "../components/SendForm.js";
import { useFirstVisit } from "../data/settle.js";
import { faucetUrl, transactionUrl, useBalances } from "../data/tokens.js";

/** Balance, sending and history of one account. */
export function Wallet({ account }: { account: string }) {
  const { data, error, refresh } = useBalances(account);
  const [sent, setSent] = useState<{ text: string; transactionId: string }>();
  useFirstVisit(account, data);
  const onSent = useCallback((news: { text: string; transactionId: string }) => {
    setSent(news);
    refresh();
  }, [refresh]);

  if (!data) return <Card flush>{error ? <Failed message={error.message} retry={refresh} /> : <Loading />}</Card>;
  const spendable = data.balances.filter((b) => b.balance !== "0");
  return (
    <div className="columns">
      <div className="stack" style={{ gap: "1.25rem" }}>
        <BalanceCard balances={data} stale={error !== undefined} onChange={refresh} />
        {sent ? (
          <div role="status" data-testid="sent" data-transaction={sent.transactionId}>
            <Notice action={<a href={transactionUrl(sent.transactionId)}>View</a>}>{sent.text}</Notice>
          </div>
        ) : null}
        {spendable.length > 0 ? (
          <SendForm key={account} account={account} balances={spendable} onSent={onSent} />
        ) : (
          <Card>
            <Empty title="Nothing to send yet" action={<a className="button primary" href={faucetUrl()}>Get test tokens</a>}>
              On this development network the faucet hands some out.
            </Empty>
          </Card>
        )}
      </div>
      <div className="stack" style={{ gap: "1.25rem" }}>
        <PendingList account={account} onChange={refresh} />
        <History key={account} account={account} />
      </div>
    </div>
  );
}
