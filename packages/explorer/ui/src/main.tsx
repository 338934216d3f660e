import { mount, Shell } from "@polis/client/ui";
import { AccountPage } from "./pages/AccountPage.js";
import { BlockPage } from "./pages/BlockPage.js";
import { Home } from "./pages/Home.js";
import { TransactionPage } from "./pages/TransactionPage.js";
import "./explorer.css";

function Page() {
  const { pathname, searchParams } = new URL(window.location.href);
  const path = pathname.replace(/\/$/, "");
  const num = searchParams.get("num");
  const id = searchParams.get("id") ?? "";
  if (path === "/block") return <BlockPage query={num === null ? `id=${encodeURIComponent(id)}` : `num=${encodeURIComponent(num)}`} />;
  if (path === "/transaction") return <TransactionPage id={id} />;
  if (path === "/account") return <AccountPage name={searchParams.get("name") ?? ""} />;
  return <Home />;
}

mount(<Shell title="Explorer" nav={[{ label: "Newest", href: "/", current: window.location.pathname === "/" }]}><Page /></Shell>);
