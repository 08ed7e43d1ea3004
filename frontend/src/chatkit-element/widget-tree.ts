/** Changes to a widget's tree. Parts that do not change keep their identity, so that their view can stay. */
import type { WidgetComponent } from "./protocol";

/** The children of a component, whatever form they were sent in. */
export function childrenOf(component: WidgetComponent): readonly WidgetComponent[] {
  const { children } = component;
  if (children === undefined || children === null) return [];
  return Array.isArray(children) ? (children as readonly WidgetComponent[]) : [children as WidgetComponent];
}

/** Replaces the component with `id` by `change(component)`; an unknown id changes nothing. */
export function changeComponent(
  root: WidgetComponent,
  id: string,
  change: (component: WidgetComponent) => WidgetComponent,
): WidgetComponent {
  if (root.id === id) return change(root);
  const children = childrenOf(root);
  let changed = false;
  const next = children.map((child) => {
    const result = changeComponent(child, id, change);
    changed ||= result !== child;
    return result;
  });
  return changed ? { ...root, children: next } : root;
}

/** Appends streamed text to a component's value. */
export function appendValue(component: WidgetComponent, delta: string, done: boolean): WidgetComponent {
  const value = typeof component["value"] === "string" ? component["value"] : "";
  return { ...component, value: value + delta, streaming: !done };
}
