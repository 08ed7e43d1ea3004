/** A widget on the page. Components that have not changed since the last update keep their nodes. */
import { h } from "../dom";
import type { WidgetAction, WidgetComponent } from "../protocol";
import { childrenOf } from "../widget-tree";

import { contentRenderers } from "./content";
import { layoutRenderers } from "./layout";

/** What components need from around them. */
export interface WidgetContext {
  /** Domains that pictures may come from; null allows any. */
  readonly imageDomains: readonly string[] | null;
  act(action: ActionConfig): void;
  render(component: WidgetComponent): HTMLElement;
}

/** An action as widgets carry it. */
export interface ActionConfig extends WidgetAction {
  readonly handler?: "server" | "client";
  readonly streaming?: boolean;
}

export type Renderer = (component: WidgetComponent, context: WidgetContext) => HTMLElement;

/** A map: a type may be any word, `constructor` too. */
const RENDERERS: ReadonlyMap<string, Renderer> = new Map(Object.entries({ ...layoutRenderers, ...contentRenderers }));

/** A component that is not known here says so, and its children are shown all the same. */
function renderUnknown(component: WidgetComponent, context: WidgetContext): HTMLElement {
  return h(
    "div",
    { class: "w-unknown" },
    h("span", { class: "w-unknown-label", text: `${component.type || "Component"} cannot be shown here` }),
    ...childrenOf(component).map((child) => context.render(child)),
  );
}

/** Shows one widget item. */
export class WidgetView {
  readonly element = h("div", { class: "widget" });
  private readonly nodes = new WeakMap<WidgetComponent, HTMLElement>();
  private readonly context: WidgetContext;

  constructor(imageDomains: () => readonly string[] | null, act: (action: ActionConfig) => void) {
    this.context = {
      get imageDomains() {
        return imageDomains();
      },
      act,
      render: (component) => this.render(component),
    };
  }

  /** Shows `root`, which is a Card, a ListView or a Basic. */
  update(root: WidgetComponent): void {
    const node = this.render(root);
    if (this.element.firstChild !== node) this.element.replaceChildren(node);
  }

  private render(component: WidgetComponent): HTMLElement {
    const kept = this.nodes.get(component);
    if (kept) return kept;
    const node = (RENDERERS.get(component.type) ?? renderUnknown)(component, this.context);
    this.nodes.set(component, node);
    return node;
  }
}
