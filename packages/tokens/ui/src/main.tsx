import { getSupervisor } from "@polis/client/common";
import { AccountMenu, Button, Card, Empty, Failed, Loading, Logo, mount, Shell, useTask, useUser } from "@polis/client/ui";
import { Wallet } from "./pages/Wallet.js";
import "./tokens.css";

function App() {
  const { user, reload } = useUser();
  const connect = useTask(() => getSupervisor().connect());
  return (
    <Shell title="Tokens" end={<AccountMenu user={user} onChange={reload} />}>
      <h1 className="visually-hidden">Tokens</h1>
      {user.state === "connected" ? <Wallet account={user.account} /> : (
        <div className="narrow"><Card>
          {user.state === "loading" ? <Loading lines={2} />
            : user.state === "failed" ? <Failed message={user.message} retry={reload} />
            : <Empty
                title="Your tokens"
                icon={<Logo size={40} />}
                action={<Button kind="primary" busy={connect.running} onClick={() => void connect.run()}>Choose account</Button>}
              >
                Choose the account to use here. You are asked once.
                {connect.error ? <span role="alert" style={{ display: "block", color: "var(--danger)" }}>{connect.error}</span> : null}
              </Empty>}
        </Card></div>
      )}
    </Shell>
  );
}

mount(<App />);
