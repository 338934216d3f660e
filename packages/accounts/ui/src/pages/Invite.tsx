import { useCallback, useState } from "react";
import { siblingUrl } from "@polis/client/common";
import { Avatar, Button, Card, Empty, Loading } from "@polis/client/ui";
import { CreateAccount } from "../components/CreateAccount.js";
import { PasteInvitation } from "../components/PasteInvitation.js";
import { openRequest, readInvitation } from "../data/device.js";
import { useLoaded } from "../data/load.js";

/** Opens an invitation: makes an account with it. */
export function Invite({ token }: { token: string }) {
  const [created, setCreated] = useState<string>();
  const invitation = useLoaded(useCallback(() => readInvitation(token), [token]));
  if (created)
    return (
      <Created
        account={created}
        more={(invitation.data?.accountsLeft ?? 0) > 0 && invitation.data?.state === "open"}
        onMore={() => {
          setCreated(undefined);
          invitation.reload();
        }}
      />
    );
  if (invitation.error)
    return (
      <div className="narrow stack">
        <h1>Invitation</h1>
        <Card>
          <Empty title="This invitation does not open">{invitation.error}</Empty>
          <PasteInvitation />
        </Card>
      </div>
    );
  if (!invitation.data) return <div className="narrow"><Card flush><Loading label="Reading the invitation" /></Card></div>;
  const { inviter, accountsLeft, expires, state } = invitation.data;
  if (state !== "open")
    return (
      <div className="narrow"><Card>
        <Empty heading="h1" title={state === "used" ? "This invitation is used up" : "This invitation has expired"}>
          Ask whoever sent it for another one.
        </Empty>
      </Card></div>
    );
  return (
    <div className="narrow stack" style={{ gap: "1.5rem" }}>
      <div className="stack" style={{ gap: "0.5rem" }}>
        <h1>You are invited</h1>
        <p className="muted">
          <strong>{inviter}</strong> invites you to this network. The invitation is good for{" "}
          {accountsLeft === 1 ? "one account" : `${accountsLeft} accounts`} until {new Date(expires).toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" })}.
        </p>
      </div>
      <CreateAccount
        token={token}
        onCreated={(account) => {
          setCreated(account);
          invitation.reload();
        }}
      />
    </div>
  );
}

function Created({ account, more, onMore }: { account: string; more: boolean; onMore: () => void }) {
  const request = openRequest.get();
  return (
    <div className="narrow">
      <Card>
        <Empty heading="h1" title={`Welcome, ${account}`} icon={<Avatar name={account} size={64} />}>
          Your account is on the chain and its key is on this device.
        </Empty>
        <div className="stack">
          {request ? (
            <a className="button primary wide" href={`/connect?request=${encodeURIComponent(request)}`}>Continue to the app</a>
          ) : (
            <a className="button primary wide" href={siblingUrl(null, "homepage", "/")}>See the apps</a>
          )}
          {more ? <Button wide onClick={onMore}>Make another account</Button> : null}
          <a className="button quiet wide" href="/">Your accounts</a>
        </div>
      </Card>
    </div>
  );
}
