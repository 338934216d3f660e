import { useState, type FormEvent } from "react";
import { Button, Card, Copy, Empty, Loading, Notice, useTask } from "@polis/client/ui";
import { Refused } from "../components/Refused.js";
import { derOfPem, makeKey, pemOf, takeKey, useKeys, type Claim } from "../data/keys.js";
import { useChain } from "../data/node.js";

/** The keys with which the node signs blocks. */
export function KeysPage() {
  const { data, error, refresh } = useKeys();
  const signs = useChain().data?.signs?.rawData;
  return (
    <div className="stack" style={{ gap: "1.5rem" }}>
      <div className="stack" style={{ gap: "0.5rem" }}>
        <h1>Keys</h1>
        <p className="muted lead">
          With these the node signs the blocks that it makes. They stay on the node's disk, where only its own user reads them; nobody gets them
          out over the network. Here you see their public halves, which others may know.
        </p>
      </div>
      {!data ? <Card flush>{error ? <Refused error={error} retry={refresh} /> : <Loading lines={2} />}</Card> : (
        <>
          {error ? <Notice kind="warn">The node does not answer; what you see may be old.</Notice> : null}
          <Card title="Keys of this node" flush>
            {data.length === 0 ? <Empty title="No keys yet">A node that makes blocks for others signs them. Make a key, or take one in.</Empty> : (
              <ul className="list">{data.map((claim) => <Key key={claim.rawData} claim={claim} signs={claim.rawData === signs} />)}</ul>
            )}
          </Card>
          <div className="columns even">
            <Make onDone={refresh} />
            <Take onDone={refresh} />
          </div>
        </>
      )}
    </div>
  );
}

function Key({ claim, signs }: { claim: Claim; signs: boolean }) {
  return (
    <li>
      <div className="item">
        <span className="grow">
          <span className="title" style={{ display: "block" }}><span className="mono" title={claim.rawData}>{`${claim.rawData.slice(-64, -56)}…${claim.rawData.slice(-8)}`}</span></span>
          <span className="detail" style={{ display: "block" }}>checked by {claim.service}</span>
        </span>
        {signs ? <span className="badge good">Signs blocks</span> : null}
        <span className="row" style={{ gap: "0.2rem" }}><span className="muted small">Public key</span><Copy value={pemOf(claim)} /></span>
      </div>
    </li>
  );
}

function Make({ onDone }: { onDone: () => void }) {
  const [made, setMade] = useState(false);
  const make = useTask(async () => {
    await makeKey();
    setMade(true);
    onDone();
  });
  return (
    <Card title="Make a key">
      <div className="stack">
        <p>A new key, made on the node. For the network to accept blocks signed with it, it must become this producer's key.</p>
        {make.error ? <Notice kind="bad">{make.error}</Notice> : null}
        <div aria-live="polite">{made && !make.error ? <Notice>The key is kept. Back up the node's folder <code className="mono">keys</code>: a lost key cannot be had again.</Notice> : null}</div>
        <div><Button kind="primary" busy={make.running} onClick={() => void make.run()}>Make a key</Button></div>
      </div>
    </Card>
  );
}

function Take({ onDone }: { onDone: () => void }) {
  const [file, setFile] = useState<File>();
  const [taken, setTaken] = useState(false);
  const take = useTask(async (chosen: File) => {
    setTaken(false);
    if (chosen.size > 64 * 1024) throw new Error("This is no key file: it is too large.");
    await takeKey(derOfPem(await chosen.text()));
    setTaken(true);
    onDone();
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (file) void take.run(file);
  };
  return (
    <Card title="Take a key in">
      <form className="stack" onSubmit={submit}>
        <p>A private key that you have as a file, such as one from <code className="mono">polis key</code>. Do this only on the node's own machine, or over HTTPS.</p>
        <div className="field">
          <label htmlFor="file">Key file (PEM)</label>
          <input id="file" className="input" type="file" accept=".pem,.key" onChange={(event) => {
            setFile(event.target.files?.[0]);
            setTaken(false);
            take.clearError();
          }} />
        </div>
        {take.error ? <Notice kind="bad">{take.error}</Notice> : null}
        <div aria-live="polite">{taken ? <Notice>The node has this key now.</Notice> : null}</div>
        <div><Button type="submit" disabled={!file} busy={take.running}>Take it in</Button></div>
      </form>
    </Card>
  );
}
