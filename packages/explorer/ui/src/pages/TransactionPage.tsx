import { Ago, Card } from "@polis/client/ui";
import { Hash } from "../components/lists.js";
import { View } from "../components/View.js";
import { accountUrl, blockUrl, useTransaction, type Transaction } from "../data/chain.js";
import { useArguments } from "../data/arguments.js";

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
              <div><dt>Time</dt><dd>{new Date(transaction.time).toLocaleString(undefined, { dateStyle: "long", timeStyle: "medium" })} (<Ago time={transaction.time} />)</dd></div>
              <div><dt>Signed with</dt><dd>{transaction.claims.length === 0 ? "no key" : transaction.claims.length === 1 ? "one key" : `${transaction.claims.length} keys`}</dd></div>
            </dl>
          </Card>
          <Card title={transaction.actions.length === 1 ? "Action" : "Actions"} flush>
            <ul className="list" aria-label="Actions">
              {transaction.actions.map((action, i) => <ActionItem key={i} action={action} />)}
            </ul>
          </Card>
        </div>
      )}
    </View>
  );
}

function ActionItem({ action }: { action: Transaction["actions"][number] }) {
  const { spelling, values } = useArguments(action);
  return (
    <li className="action">
      <p>
        <Actor name={action.sender} /> <span className="muted">calls</span> <Actor name={action.service} /> <span className="muted">·</span> <strong>{spelling}</strong>
      </p>
      {values && values.length > 0 ? (
        <dl className="facts">
          {values.map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="break">{value === "" ? <span className="muted">empty</span> : value}</dd></div>)}
        </dl>
      ) : null}
      <details>
        <summary className="muted small">As packed ({action.rawData.length / 2} bytes)</summary>
        <p className="mono break small">{action.rawData || "nothing"}</p>
      </details>
    </li>
  );
}

/** The chain itself has no account to look at. */
function Actor({ name }: { name: string }) {
  return name === "" ? <>the chain</> : <a href={accountUrl(name)}>{name}</a>;
}
