import { Component, StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { Failed } from "./parts.js";

/** Shows a page's own failure instead of an empty window. */
class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return <Failed message="Something on this page went wrong." retry={() => window.location.reload()} />;
  }
}

/** Renders an app into the page's #root. */
export function mount(app: ReactNode): void {
  const root = document.getElementById("root");
  if (!root) throw new Error("the page lacks #root");
  createRoot(root).render(<StrictMode><Boundary>{app}</Boundary></StrictMode>);
}
