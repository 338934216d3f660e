import { mount, Shell } from "@polis/client/ui";
import { KeysPage } from "./pages/KeysPage.js";
import { LogPage } from "./pages/LogPage.js";
import { NetworkPage } from "./pages/NetworkPage.js";
import { PerformancePage } from "./pages/PerformancePage.js";
import { StatusPage } from "./pages/StatusPage.js";
import "./admin.css";

const pages = [
  { path: "", label: "Status", Page: StatusPage },
  { path: "/network", label: "Network", Page: NetworkPage },
  { path: "/log", label: "Log", Page: LogPage },
  { path: "/performance", label: "Performance", Page: PerformancePage },
  { path: "/keys", label: "Keys", Page: KeysPage },
];
const path = location.pathname.replace(/\/(index\.html)?$/, "");
const { Page } = pages.find((page) => page.path === path) ?? pages[0]!;

mount(
  <Shell title="Node" nav={pages.map((page) => ({ label: page.label, href: `${page.path}/`, current: page.Page === Page }))}>
    <Page />
  </Shell>,
);
