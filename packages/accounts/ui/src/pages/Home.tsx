import { useState } from "react";
import { siblingUrl, type DeviceAccount, type PromptRecord } from "@polis/client/common";
import { Avatar, Button, Card, Empty, Failed, Loading, Notice, useTask } from "@polis/client/ui";
import { PasteInvitation } from "../components/PasteInvitation.js";
import { deviceAccounts, disconnectApp, prompts, removeAccount } from "../data/device.js";
import { useLoaded } from "../data/load.js";

/** The accounts of this device, and the apps that use them. */
export function Home() {
  const accounts = useLoaded(deviceAccounts);
  const asked = useLoaded(prompts);
  const apps = [...new Set(accounts.data?.flatMap((account) => account.apps))].sort();
  return (
    <div className="stack" style={{ gap: "1.75rem" }}>
      <div className="stack" style={{ gap: "0.4rem" }}>
        <h1>Your accounts</h1>
        <p className="muted">Their keys live in this browser and sign for you. No page can read them.</p>
      </div>
      <div className="columns even">
        <div className="stack" style={{ gap: "1.25rem" }}>
          <Card title="On this device" flush>
            {accounts.error ? <Failed message={accounts.error} retry={accounts.reload} />
              : !accounts.data ? <Loading />
              : accounts.data.length === 0 ? <Empty title="No account here yet">Open an invitation, or bring an account with its recovery file.</Empty>
              : <ul className="list">{accounts.data.map((account) => <Account key={account.account} account={account} onRemoved={accounts.reload} />)}</ul>}
          </Card>
          {apps.length > 0 ? (
            <Card title="Connected apps" flush>
              <ul className="list">{apps.map((app) => <App key={app} app={app} asked={asked.data} onChange={accounts.reload} />)}</ul>
            </Card>
          ) : null}
        </div>
        <Card title="Add an account">
          <div className="stack" style={{ gap: "1.25rem" }}>
            <PasteInvitation />
            <a className="button" href="/import">Use a recovery file</a>
          </div>
        </Card>
      </div>
    </div>
  );
}

function Account({ account: { account, apps }, onRemoved }: { account: DeviceAccount; onRemoved: () => void }) {
  const [asking, setAsking] = useState(false);
  const remove = useTask(async () => {
    await removeAccount(account);
    onRemoved();
  });
  return (
    <li>
      <div className="item">
        <Avatar name={account} />
        <span className="grow">
          <a className="title" href={siblingUrl(null, "explorer", `/account?name=${account}`)}>{account}</a>
          <span className="detail" style={{ display: "block" }}>{apps.length === 0 ? "Not used by any app" : `Used by ${apps.join(", ")}`}</span>
        </span>
        {asking ? null : <Button kind="quiet" small onClick={() => setAsking(true)} aria-label={`Remove ${account}`}>Remove</Button>}
      </div>
      {asking ? (
        <div style={{ padding: "0 1.2rem 1rem" }} className="stack">
          <Notice kind="warn">Without its recovery file, {account} is lost for good once it is removed here.</Notice>
          {remove.error ? <Notice kind="bad">{remove.error}</Notice> : null}
          <div className="row">
            <Button kind="danger" small busy={remove.running} onClick={() => void remove.run()}>Remove from this device</Button>
            <Button kind="quiet" small autoFocus onClick={() => setAsking(false)}>Keep</Button>
          </div>
        </div>
      ) : null}
    </li>
  );
}

function App({ app, asked, onChange }: { app: string; asked: PromptRecord[] | undefined; onChange: () => void }) {
  const times = asked?.filter((prompt) => prompt.app === app).length;
  const disconnect = useTask(async () => {
    await disconnectApp(app);
    onChange();
  });
  return (
    <li className="item" data-app={app} data-prompts={times}>
      <span className="grow">
        <a className="title" href={siblingUrl(null, app, "/")}>{app}</a>
        <span className="detail" style={{ display: "block" }}>
          {times === undefined ? "" : times === 1 ? "Asked you once" : `Asked you ${times} times`}
        </span>
        {disconnect.error ? <span className="detail" role="alert">{disconnect.error}</span> : null}
      </span>
      <Button kind="quiet" small busy={disconnect.running} onClick={() => void disconnect.run()} aria-label={`Disconnect ${app}`}>Disconnect</Button>
    </li>
  );
}
