import { Ago, Card, Empty } from "@polis/client/ui";
import { Hash, TransactionList } from "../components/lists.js";
import { View } from "../components/View.js";
import { accountUrl, blockUrl, useBlock } from "../data/chain.js";

export function BlockPage({ query }: { query: string }) {
  return (
    <View live={useBlock(query)} missing="No such block">
      {(block) => (
        <div className="stack" style={{ gap: "1.25rem" }}>
          <div className="row between">
            <h1 className="figures">Block {block.num.toLocaleString("en")}</h1>
            <span className={block.irreversible ? "badge good" : "badge"}>{block.irreversible ? "Final" : "Not final yet"}</span>
          </div>
          <Card>
            <dl className="facts">
              <div><dt>Time</dt><dd>{new Date(block.time).toLocaleString(undefined, { dateStyle: "long", timeStyle: "medium" })} (<Ago time={block.time} />)</dd></div>
              <div><dt>Producer</dt><dd><a href={accountUrl(block.producer)}>{block.producer}</a></dd></div>
              <div><dt>Id</dt><dd><Hash value={block.id} /></dd></div>
              <div><dt>Previous</dt><dd><Hash value={block.previous} {...(block.num > 2 ? { href: blockUrl(block.num - 1) } : {})} /></dd></div>
              <div><dt>Term</dt><dd className="figures">{block.term}</dd></div>
            </dl>
          </Card>
          <Card title="Transactions" flush>
            {block.transactions.length === 0 ? <Empty title="None">This block only keeps the clock.</Empty> : <TransactionList transactions={block.transactions} />}
          </Card>
          <div className="row between">
            <a className="button quiet" href={blockUrl(block.num - 1)}>← Earlier</a>
            <a className="button quiet" href={blockUrl(block.num + 1)}>Later →</a>
          </div>
        </div>
      )}
    </View>
  );
}
