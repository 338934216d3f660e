import { Ago, Card } from "@polis/client/ui";
import { Hash } from "../components/lists.js";
import { View } from "../components/View.js";
import { accountUrl, blockUrl, useTransaction } from "../data/chain.js";

export function TransactionPage({ id }: { id: string }) {
  return (
    <View live={useTransaction(id)} missing="No such transaction">
      {(transaction) => (
        <div className="stack" style={{ gap: "1.25rem" }}>
          <div className="row between">
            <h1>Transaction</h1>
            <span className={transaction.irreversible ? "badge good" : "badge"}>{transaction.irreversible ? "Final" : "In a block"}</span>
          </div>
          <Card>
            <dl className="facts">
              <div><dt>Id</dt><dd><Hash value={transaction.id} /></dd></div>
              <div><dt>Block</dt><dd className="figures"><a href={blockUrl(transaction.blockNum)}>{transaction.blockNum.toLocaleString("en")}</a></dd></div>
              <div><dt>Time</dt><dd>{new Date(transaction.time).toLocaleString()} (<Ago time={transaction.time} />)</dd></div>
              <div><dt>Signed with</dt><dd>{transaction.claims.length === 0 ? "no key" : [...new Set(transaction.claims.map((claim) => claim.service))].join(", ")}</dd></div>
            </dl>
          </Card>
          <Card title={transaction.actions.length === 1 ? "Action" : "Actions"} flush>
            <ul className="list" aria-label="Actions">
              {transaction.actions.map((action, i) => (
                <li key={i} className="action">
                  <p>
                    <a href={accountUrl(action.sender)}>{action.sender || "the chain"}</a> <span className="muted">calls</span>{" "}
                    <a href={accountUrl(action.service)}>{action.service}</a> <span className="muted">·</span> <strong>{action.method}</strong>
                  </p>
                  <details>
                    <summary className="muted small">Arguments, packed ({action.rawData.length / 2} bytes)</summary>
                    <p className="mono break small">{action.rawData || "none"}</p>
                  </details>
                </li>
              ))}
            </ul>
          </Card>
        </div>
      )}
    </View>
  );
}
