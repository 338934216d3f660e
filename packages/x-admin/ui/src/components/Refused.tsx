import type { RPCError } from "@polis/client/common";
import { Empty, Failed } from "@polis/client/ui";

/** Why there is nothing to see: most often because this browser does not administer the node. */
export function Refused({ error, retry }: { error: RPCError; retry: () => void }) {
  if (error.status !== 401 && error.status !== 403) return <Failed message={error.message} retry={retry} />;
  return (
    <Empty title="For the node's operator">
      Open this page on the machine that runs the node, or here with the link that the node showed when it first started.
    </Empty>
  );
}
