import { mount, Shell } from "@polis/client/ui";
import { Connect } from "./pages/Connect.js";
import { Home } from "./pages/Home.js";
import { Import } from "./pages/Import.js";
import { Invite } from "./pages/Invite.js";

function Page() {
  const { pathname, searchParams } = new URL(window.location.href);
  const path = pathname.replace(/\/$/, "");
  if (path === "/invite") return <Invite token={searchParams.get("token") ?? ""} />;
  if (path === "/connect") return <Connect requestId={searchParams.get("request") ?? ""} />;
  if (path === "/import") return <Import />;
  return <Home />;
}

mount(<Shell title="Accounts"><Page /></Shell>);
