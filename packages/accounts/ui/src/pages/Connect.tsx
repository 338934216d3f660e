import { useCallback, useEffect } from "react";
import { Avatar, Button, Card, Empty, Failed, Loading, Notice, useTask } from "@polis/client/ui";
import { PasteInvitation } from "../components/PasteInvitation.js";
import { connectAccount, connectRequest, deviceAccounts, openRequest } from "../data/device.js";
import { useLoaded } from "../data/load.js";

/** The one question that an app asks: which account to use there. */
export function Connect({ requestId }: { requestId: string }) {
  const question = useLoaded(useCallback(() => connectRequest(requestId), [requestId]));
  const accounts = useLoaded(deviceAccounts);
  const choose = useTask(async (account: string) => {
    const { returnUrl } = await connectAccount(requestId, account);
    openRequest.clear();
    window.location.replace(returnUrl);
    await new Promise(() => undefined);
  });
  useEffect(() => openRequest.set(requestId), [requestId]);

  if (question.error)
    return <div className="narrow"><Card><Empty heading="h1" title="Nothing to choose" action={<a className="button" href="/">Your accounts</a>}>{question.error}</Empty></Card></div>;
  if (accounts.error) return <div className="narrow"><Card><Failed message={accounts.error} retry={accounts.reload} /></Card></div>;
  if (!question.data || !accounts.data) return <div className="narrow"><Card flush><Loading /></Card></div>;

  const { app, current, returnUrl } = question.data;
  return (
    <div className="narrow stack" style={{ gap: "1.5rem" }}>
      <div className="stack" style={{ gap: "0.5rem" }}>
        <h1>Which account for {app}?</h1>
        <p className="muted">
          You are asked once. From then on <strong>{app}</strong> acts for this account on its own service, and on nothing else.
        </p>
      </div>
      {accounts.data.length > 0 ? (
        <Card flush>
          <ul className="list">
            {accounts.data.map(({ account }) => (
              <li key={account}>
                <button type="button" className="item" disabled={choose.running} onClick={() => void choose.run(account)}>
                  <Avatar name={account} />
                  <span className="grow title">{account}</span>
                  {account === current ? <span className="badge good">In use</span> : null}
                </button>
              </li>
            ))}
          </ul>
        </Card>
      ) : (
        <Card>
          <Empty title="No account on this device yet">Make one with an invitation, or bring one with its recovery file.</Empty>
          <div className="stack">
            <PasteInvitation />
            <a className="button wide" href="/import">Use a recovery file</a>
          </div>
        </Card>
      )}
      {choose.running ? <p role="status" className="muted">Connecting…</p> : null}
      {choose.error ? <Notice kind="bad">{choose.error}</Notice> : null}
      <div className="row between">
        {accounts.data.length > 0 ? <a className="button quiet small" href="/import">Use a recovery file</a> : <span />}
        <Button kind="quiet" small onClick={() => window.location.replace(returnUrl)}>Not now</Button>
      </div>
    </div>
  );
}
