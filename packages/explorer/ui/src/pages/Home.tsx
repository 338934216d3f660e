import { Ago, Card, Empty, Failed, LiveBadge, Loading, Notice } from "@polis/client/ui";
import { BlockList, TransactionList } from "../components/lists.js";
import { Search } from "../components/Search.js";
import { useBlocks, useHead, useTransactions } from "../data/chain.js";

export function Home() {
  const head = useHead();
  const blocks = useBlocks(12);
  const transactions = useTransactions(12);
  return (
    <div className="stack" style={{ gap: "1.5rem" }}>
      <div className="row between">
        <h1>Explorer</h1>
        {head.data ? (
          <p className="muted small figures">
            Block {head.data.num.toLocaleString("en")}, <Ago time={head.data.time} /> · final up to {head.data.irreversible.toLocaleString("en")}
          </p>
        ) : null}
      </div>
      <Search />
      {head.error && head.data ? <Notice kind="warn">The node does not answer; what you see may be old.</Notice> : null}
      <div className="columns even">
        <Card title="Blocks" flush aside={<LiveBadge error={blocks.error} />}>
          {blocks.data ? <BlockList blocks={blocks.data.blocks} />
            : blocks.error ? <Failed message={blocks.error.message} retry={blocks.refresh} /> : <Loading lines={6} />}
        </Card>
        <Card title="Transactions" flush>
          {transactions.data ? (
            transactions.data.transactions.length === 0 ? <Empty title="Quiet">No transaction in the newest blocks.</Empty>
              : <TransactionList transactions={transactions.data.transactions} />
          ) : transactions.error ? <Failed message={transactions.error.message} retry={transactions.refresh} /> : <Loading lines={6} />}
        </Card>
      </div>
    </div>
  );
}
