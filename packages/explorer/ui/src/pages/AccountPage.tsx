import { Avatar, Card, Empty, Failed, formatAmount, Loading } from "@polis/client/ui";
import { Hash } from "../components/lists.js";
import { View } from "../components/View.js";
import { useAccount, useBalances, useKey } from "../data/chain.js";

const guards: Record<string, string> = {
  "auth-sig": "A key of its own",
  "auth-any": "Anyone (test accounts only)",
  "auth-delg": "Another account",
};

export function AccountPage({ name }: { name: string }) {
  const balances = useBalances(name);
  const key = useKey(name);
  return (
    <View live={useAccount(name)} missing="No such account">
      {(account) => (
        <div className="stack" style={{ gap: "1.25rem" }}>
          <div className="row">
            <Avatar name={account.name} size={52} />
            <h1>{account.name}</h1>
          </div>
          <div className="columns even">
            <Card title="Account">
              <dl className="facts">
                <div><dt>Acts by</dt><dd>{guards[account.authService] ?? account.authService}</dd></div>
                {account.authService !== "auth-sig" ? null
                  : key.data ? <div><dt>Key</dt><dd><Hash value={key.data.fingerprint} /></dd></div>
                  : key.error ? null
                  : <div><dt>Key</dt><dd><span className="skeleton" /></dd></div>}
              </dl>
            </Card>
            <Card title="Tokens" flush>
              {balances.data ? (
                balances.data.balances.length === 0 ? <Empty title="None" /> : (
                  <ul className="list">
                    {balances.data.balances.map((b) => (
                      <li key={b.tokenId} className="item">
                        <span className="grow title">{b.symbol ? b.symbol.toUpperCase() : `Token ${b.tokenId}`}</span>
                        <span className="figures">{formatAmount(b.balance, b.precision)}</span>
                      </li>
                    ))}
                  </ul>
                )
              ) : balances.error ? <Failed message={balances.error.message} retry={balances.refresh} /> : <Loading lines={1} />}
            </Card>
          </div>
        </div>
      )}
    </View>
  );
}
